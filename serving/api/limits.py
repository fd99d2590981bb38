"""Limits on one request."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits on one request; a request beyond them is an InvalidRequestError.

    They bound the work of one message: the event loop is busy for at most 20 ms, and the engine
    kept from other requests for at most 200 ms. Higher limits stretch both.
    """

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
    """Maximum number of values in all clauses of a request's filters together."""
    excluded: int = 10_000
    """Maximum number of item ids in `exclude`."""
    at_most: int = 16
    """Maximum number of attributes in `at_most` of a request's diversity."""
    vector: int = 4_096
    """Maximum number of numbers in `vector`."""
    embedded: int = 32
    """Maximum number of items or texts in an `Embed` or `Classify` call."""
    text_length: int = 2_000
    """Maximum length of a text in an `Embed` or `Classify` call, characters."""
    labels: int = 100
    """Largest `top_k` of a `Classify` call."""
    request_bytes: int = 512 << 10
    """Maximum size of a message to the RecommenderService or the ClassifierService: 10,000 ids of
    36 bytes with their times fit. The event loop decodes it in one piece, about 13 ms for a MiB."""
    rows_bytes: int = 320 << 10
    """Maximum size of a message to the CatalogService or the FeedbackService, whose rows take
    longer to decode. The largest item fits."""

    def __post_init__(self) -> None:
        for one in fields(self):
            if getattr(self, one.name) < 1:
                raise ValueError(f"{one.name} must be at least 1, got {getattr(self, one.name)}")


DEFAULT_LIMITS = Limits()
"""Limits of a server that is not configured otherwise."""
