"""Filters by item attributes."""
