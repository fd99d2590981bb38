"""Requests for the engine: fields, limits, rules and errors."""
