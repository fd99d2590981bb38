"""Profiles: interests and likely values of a shopper's next item."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TypicalItem:
    """An item that stands for an interest."""

    item_id: str
    title: str


@dataclass(frozen=True, kw_only=True)
class Interest:
    """A group of similar items of a history."""

    weight: float
    """Share of the history, 0 to 1; newer interactions and stronger actions count more."""
    newest_time: int | None
    """Unix seconds of the newest interaction; None where the history has no times."""
    age: int
    """Interactions since the newest of this interest, 0 for the latest interest."""
    size: int
    """Distinct items."""
    words: Sequence[str]
    """Words of the titles that tell the items from the rest of the catalogue, at most 3."""
    typical_items: Sequence[TypicalItem]
    """The item in the middle of the group, then those nearest to it; at most 3."""


@dataclass(frozen=True, kw_only=True)
class PreferredValue:
    """A value of an attribute."""

    value: str
    """A keyword, or a band of a number in words, such as `2 to 5`."""
    probability: float
    """Probability that the next item has the value, among items that have any."""
    share: float
    """Share of the history that has the value, weighted like the interests."""
    at_least: float | None = None
    """Least number of the band; None for a keyword and the lowest band."""
    below: float | None = None
    """The band ends below this number; None for a keyword and the highest band."""


@dataclass(frozen=True, kw_only=True)
class Preference:
    """How likely the next item has each value of an attribute."""

    attribute: str
    """Name of the attribute, or `title word`."""
    values: Sequence[PreferredValue]
    """Most likely first, at most 5."""
    learnt: bool
    """Whether the probabilities are learnt; otherwise they are smoothed shares of the history."""
    several: bool
    """Whether an item may have several values; then the probabilities may sum to more than 1."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What is known of a shopper."""

    sentence: str
    """The profile in one English sentence."""
    interests: Sequence[Interest]
    """Heaviest first, at most 6; none without a history."""
    preferences: Sequence[Preference]
    """One for each attribute that tells items apart, keywords first."""
    history_length: int
    """Interactions of the history that count."""
