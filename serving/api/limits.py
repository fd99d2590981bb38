"""Limits on one request, and the rules of ids and items."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits on one request; a request beyond them is an InvalidRequestError."""

    shortlist: int = 200
    """Items recalled, and the largest `limit`."""
    history: int = 10_000
    """Item ids in a history."""
    candidates: int = 200
    """Item ids that `Rank` orders."""
    id_length: int = 256
    """Characters of an id."""
    search_length: int = 1_000
    """Characters of a search."""
    clauses: int = 100
    """Clauses of a request's filters."""
    values: int = 1_000
    """Values of a clause."""
    excluded: int = 10_000
    """Item ids in `exclude`."""
    embedded: int = 64
    """Items or texts of one `Embed`."""
    text_length: int = 5_000
    """Characters of a text of `Embed`."""
