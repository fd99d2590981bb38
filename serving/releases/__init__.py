"""Publishing, reloading and administering releases."""
