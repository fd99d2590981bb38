"""Requests as the engine receives them: limits, rules, errors."""
