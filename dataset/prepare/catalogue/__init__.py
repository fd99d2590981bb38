"""Checks the items and makes their columns usable."""
