"""Replies to questions to customer service."""

from collections.abc import Sequence
from dataclasses import dataclass

from shortlist_client.api.classification import Label


@dataclass(frozen=True, kw_only=True)
class FaqEntry:
    """An entry of the FAQ."""

    entry_id: str
    title: str
    """The question that the entry answers."""
    text: str
    """The answer, as the FAQ has it."""
    probability: float
    """Calibrated probability, 0 to 1, that it answers the question."""


@dataclass(frozen=True, kw_only=True)
class FoundProduct:
    """A product that a search for the question finds."""

    item_id: str
    title: str
    price: str
    """As the catalogue has it; empty without one."""
    score: float
    """What the products are ordered by."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What is said to a question, and what it rests on."""

    answered: bool
    """Whether something is sure enough to be said."""
    text: str
    """The answer; if there is none, what the release says then, which may be empty."""
    entry: FaqEntry
    """The best entry, sure enough or not."""
    threshold: float
    """Probability of the entry from which it is said."""
    intent: Label | None
    """The most probable intent; None if the release has no classifier, or the question no letter or
    digit."""
    products: Sequence[FoundProduct]
    """Best first."""
