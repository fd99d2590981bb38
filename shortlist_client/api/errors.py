"""Errors of requests that break the contract."""


class InvalidQueryError(ValueError):
    """The query breaks a rule."""
