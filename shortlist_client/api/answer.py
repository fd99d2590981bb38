"""Answers of the server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum


class Basis(Enum):
    """What an answer rests on."""

    HISTORY = "history"
    """The shopper's history."""
    POPULARITY = "popularity"
    """Nothing is known of the shopper: the best-selling items."""
    ITEM = "item"
    """The item that was asked about."""
    SEARCH = "search"
    """What the shopper is looking for, and the history where there is one."""
    VECTOR = "vector"
    """An embedding that was given."""


class Source(Enum):
    """What recalled an item."""

    TOWERS = "towers"
    """It is near the shopper's embedding."""
    NEIGHBOURS = "neighbours"
    """It shares users with the items of the history."""


class Degraded(Enum):
    """What an answer lacks, and why."""

    DEADLINE = "deadline"
    """Too little time was left to rank: the order is that of the shortlist, without reasons."""
    REASONS = "reasons"
    """Too little time was left for the reasons."""
    HISTORY = "history"
    """The user's events could not be read: it rests on what the release knows alone."""


@dataclass(frozen=True, kw_only=True)
class Reason:
    """What one item of a history did to an item's score."""

    item_id: str
    """Of the history."""
    contribution: float
    """By how much the score would be lower without it, the same shortlist judged again."""


@dataclass(frozen=True, kw_only=True)
class TextReason:
    """What one field of an item's text did to its score by the towers."""

    field: str
    """`title`, or the name of a text or an attribute."""
    contribution: float
    """By how much `tower_score` would be lower without it, all else as it was."""


@dataclass(frozen=True, kw_only=True)
class RankedItem:
    """One item of an answer."""

    item_id: str
    title: str
    score: float
    """What the answer is ordered by."""
    tower_score: float | None
    """Cosine of user and item embedding; None where no shopper is embedded."""
    neighbour_score: float | None
    """Recency-weighted co-occurrence with the history, 0 where there is none; None as above."""
    sources: Sequence[Source]
    """Which of them recalled it; empty where nothing was recalled."""
    shortlist_rank: int | None
    """Position in the shortlist, from 1; None where there is none."""
    ranker_score: float | None
    """Logit of the ranker; None where it did not look."""
    reasons: Sequence[Reason] = ()
    """Of the newest items of the history, what helped most first; empty where not asked for."""
    text_reasons: Sequence[TextReason] = ()
    """Of the fields of the item's text, in the same order; empty where not asked for."""


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """What a tower makes of a shopper or an item."""

    values: tuple[float, ...]
    """Of unit length."""
    item_id: str = ""
    """Whose it is; empty for a shopper and for texts."""


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How many items each stage of an answer looked at, widest first."""

    corpus: int
    """Items of the catalogue, as of now."""
    searched: int
    """Those that could have come back; of `RANK`, the known candidates."""
    recalled: int
    """Those that were recalled: the shortlist."""
    ranked: int
    """Those that the ranker looked at."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Items, best first, and how they came about."""

    items: Sequence[RankedItem]
    basis: Basis
    coverage: Coverage
    """How many items it was chosen from."""
    unknown_item_ids: Sequence[str] = ()
    """Ids of the history that the catalogue does not hold; they were skipped."""
    unknown_user: bool = False
    """The query named a user of whom neither the release nor `recent` tells."""
    degraded: Degraded | None = None
    """What it lacks; None where it is whole."""
    embeddings: Sequence[Embedding] = ()
    """Of what was to be embedded; there are then no items."""
    milliseconds: Mapping[str, float]
    """Wall time a stage, of all that was answered together: `user_tower`, `index`, `ranker`,
    `total`; `reasons`, of this one; and `queue`, before any."""


@dataclass(frozen=True, kw_only=True)
class Response(Answer):
    """An answer as a client receives it."""

    versions: Mapping[str, str]
    """Fingerprint of each stage of the release that answered, and its id under `release`."""
    request_id: str
    """As in the wishes."""
