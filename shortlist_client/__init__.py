"""Typed Python client of the Shortlist server."""
