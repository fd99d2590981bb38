"""Item changes between two releases."""
