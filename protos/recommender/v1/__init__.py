"""The API that is served."""
