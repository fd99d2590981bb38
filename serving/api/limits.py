"""Limits on one request."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits on one request; a request beyond them is an InvalidRequestError."""

    shortlist: int = 200
    """Length of the shortlist, and largest `limit`."""
    history: int = 10_000
    """Maximum number of item ids in a history."""
    candidates: int = 200
    """Maximum number of item ids that `Rank` orders."""
    id_length: int = 256
    """Maximum length of an id, characters."""
    search_length: int = 1_000
    """Maximum length of a search, characters."""
    clauses: int = 100
    """Maximum number of clauses in a request's filters."""
    values: int = 1_000
    """Maximum number of values in a clause."""
    excluded: int = 10_000
    """Maximum number of item ids in `exclude`."""
    embedded: int = 64
    """Maximum number of items or texts in an `Embed` call."""
    text_length: int = 5_000
    """Maximum length of a text in an `Embed` call, characters."""
