"""Quality and speed beside peers; nobody imports it."""
