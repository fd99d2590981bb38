"""What the engine is asked and what it answers; plain Python, no gRPC.

Errors that a caller can mend:
    InvalidQueryError: the query breaks a rule; names the field, the rule and the value.
    UnknownItemError: an item that the query is about is not in the catalogue.
    QueueFullError: too much is asked at once; says when to ask again.
    OtherReleaseError: the request is bound to another release than the live one; names both.
    UnavailableError: what the answer needs is out of reach now; asking again may help.
    UnknownReleaseError: no such release is kept.
    PreconditionError: it cannot be done as things are; says what stands in the way.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from typing import Any, Protocol

from events.event import Event
from index.filters import AnyOf, Filters
from serving.kept import Lookups


class InvalidQueryError(ValueError):
    """The query breaks a rule."""


class UnknownItemError(LookupError):
    """The item that the query is about is not in the catalogue."""


class QueueFullError(RuntimeError):
    """So many wait already that this one cannot."""

    def __init__(self, waiting: int, retry_seconds: float) -> None:
        """Say how many wait, and when to ask again."""
        super().__init__(f"{waiting} requests wait already; try again in {retry_seconds:.3f} s")
        self.retry_seconds = retry_seconds


class OtherReleaseError(RuntimeError):
    """The request is bound to another release than the one that is live."""

    def __init__(self, asked: str, live: str | None) -> None:
        """Say which was asked for, and which is live; None where none was published."""
        known = "one, and this server's was never published" if live is None else f"one, {live!r}"
        super().__init__(f"release must be the live {known}, got {asked!r}")
        self.live = live


class UnavailableError(Exception):
    """What the answer needs is out of reach now; asking again may help."""


class UnknownReleaseError(LookupError):
    """No such release is kept."""


class PreconditionError(Exception):
    """It cannot be done as things are."""


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


class Method(Enum):
    """What can be asked."""

    RECOMMEND = "recommend"
    """Recall a shortlist, rank it, and return the first `limit`; history is left out."""
    RETRIEVE = "retrieve"
    """The shortlist's first `limit` in its own order; history is left out."""
    RANK = "rank"
    """Order the given items for the shopper and return the first `limit`. Unknown candidates are
    skipped and reported with the history's."""
    SIMILAR = "similar"
    """Nearest neighbours of an item among the items that fit, but for those to leave out."""
    EMBED_SHOPPER = "embed shopper"
    """The embedding of a shopper; none where nothing is known."""
    EMBED_ITEMS = "embed items"
    """The embeddings of given items. Unknown ones are skipped and reported."""
    EMBED_TEXTS = "embed texts"
    """Where items of given texts would lie."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one query may ask for; beyond it, InvalidQueryError."""

    shortlist: int = 200
    """Items recalled, and the largest `limit`."""
    history: int = 10_000
    """Item ids in a history."""
    candidates: int = 200
    """Item ids to be ranked by `Rank`."""
    id_length: int = 256
    """Characters of an id."""
    search_length: int = 1_000
    """Characters of a search."""
    clauses: int = 100
    """Clauses of a filter, all together."""
    values: int = 1_000
    """Values of a clause."""
    excluded: int = 10_000
    """Item ids to leave out."""
    embedded: int = 64
    """Items, or texts, of one `Embed`."""
    text_length: int = 5_000
    """Characters of a text of `Embed`."""


@dataclass(frozen=True, kw_only=True)
class Diversity:
    """How the items of an answer must differ; without a wish, the order stays as it is."""

    strength: float = 0.0
    """How much nearness to what was chosen before counts against an item, 0 to 1."""
    at_most: Mapping[str, int] = field(default_factory=dict, hash=False)
    """Items that may share a value, by keyword attribute; those without a value are not limited."""

    def __bool__(self) -> bool:
        return bool(self.strength or self.at_most)


@dataclass(frozen=True, kw_only=True)
class Query:
    """Whom to recommend to. A history given here wins over the one that the release knows."""

    user_id: str | None = None
    """A user of the release, or of whom `recent` tells."""
    recent: Sequence[Event] = ()
    """What the user did since the release was built, oldest first; follows what it knows."""
    history: Sequence[str] = ()
    """Item ids, oldest first."""
    history_times: Sequence[int] = ()
    """Unix seconds of each, none before the one that precedes it; empty where unknown."""
    history_actions: Sequence[str] = ()
    """What the shopper did to each; empty where unknown."""
    search: str = ""
    """What the shopper is looking for, in words; with it the order is the towers' alone."""
    vector: Sequence[float] = ()
    """An embedding in the place of the shopper's, of any length but 0; the order is then the
    towers' alone, and the history is left out of the answer."""
    filters: Filters = field(default_factory=Filters)
    """What items must be like; none other is returned."""
    exclude: Sequence[str] = ()
    """Item ids to leave out, beside those of the history."""
    limit: int = 20
    """Items wanted."""
    diversity: Diversity = field(default_factory=Diversity)
    """How the items must differ; chosen from the whole shortlist."""
    explain: bool = False
    """Whether each item says which items of the history it is there for."""
    explain_texts: bool = False
    """Whether each item says which fields of its own text it is there for."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request."""

    method: Method
    query: Query
    candidates: Sequence[str] = ()
    """Item ids to be ranked, of `RANK`, or to be embedded, of `EMBED_ITEMS`"""
    texts: Sequence[str] = ()
    """To be embedded; of `EMBED_TEXTS` alone"""
    item_id: str = ""
    """Whose neighbours are wanted; of `SIMILAR` alone"""
    release: str = ""
    """Id of the release that must answer; empty for any"""
    deadline: float = math.inf
    """When the answer must be there, in seconds of `time.monotonic`"""


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


class Recommender(Protocol):
    """What the wire needs of an engine. Questions are asked from one thread at a time."""

    @property
    def versions(self) -> Mapping[str, str]:
        """Fingerprints of `data`, `towers`, `index` and `ranker`."""

    def cost(self, ask: Ask) -> int:
        """Items that an answer reads at most: of a history, and to be ranked."""

    @property
    def moment(self) -> object:
        """Stands for all that answers hang on beside the question; another one after a change."""

    @property
    def lookups(self) -> Mapping[str, Lookups]:
        """How often what the engine keeps was found, by name."""

    @property
    def actions(self) -> Sequence[str]:
        """What the release's interactions call what users do; none where they do not say."""

    def answers(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Answer | Exception]]:
        """Answer some requests together.

        Yields:
            Places among the requests, in any order, and their answers as soon as they are there;
            InvalidQueryError, UnknownItemError or OtherReleaseError where a request cannot be
            answered.
        """

    def handing_over(self, successor: Any) -> AbstractContextManager[None]:
        """Let another engine, of another release, take this one's place inside `with`.

        What was acknowledged by this one is known to the other inside the block, and nothing is
        acknowledged there; afterwards the other acknowledges what this one is told.
        """


def check_query(query: Query, limits: Limits, *, candidates: Sequence[str] | None = None) -> None:
    """Refuse a query that breaks a rule.

    Args:
        query: What was asked.
        limits: The rules.
        candidates: Item ids to be ranked, where that was asked; they then bound `limit`.

    Raises:
        InvalidQueryError: names the field, the rule and the value.
    """
    most, of = limits.shortlist, "the shortlist"
    if candidates is not None:
        most, of = limits.candidates, "the candidates allowed"
        if not 1 <= len(candidates) <= limits.candidates:
            raise InvalidQueryError(
                f"candidates must be 1 to {limits.candidates} item ids, got {len(candidates)}"
            )
    if not 1 <= query.limit <= most:
        raise InvalidQueryError(f"limit must be within 1 and {of} of {most}, got {query.limit}")
    _check_history(query, limits)
    _check_filters(query, limits)
    if len(query.search) > limits.search_length:
        raise InvalidQueryError(
            f"search must be at most {limits.search_length} characters, got {len(query.search)}"
        )
    if query.user_id is not None:
        check_id("user_id", query.user_id, limits)
    for item_id in (*query.history, *query.exclude, *(candidates or ())):
        check_id("item_id", item_id, limits)


def _check_history(query: Query, limits: Limits) -> None:
    if len(query.history) > limits.history:
        raise InvalidQueryError(
            f"history must be at most {limits.history} item ids, got {len(query.history)}"
        )
    for name, given in (
        ("history_times", query.history_times),
        ("history_actions", query.history_actions),
    ):
        if len(given) not in (0, len(query.history)):
            raise InvalidQueryError(
                f"{name} must be as many as the {len(query.history)} items of the history, "
                f"or none, got {len(given)}"
            )
    for earlier, later in pairwise(query.history_times):
        if later < earlier:
            raise InvalidQueryError(f"history_times must not decrease, got {later} after {earlier}")
    for action in query.history_actions:
        if len(action) > limits.id_length:
            raise InvalidQueryError(
                f"history_actions must have at most {limits.id_length} characters each, "
                f"got {len(action)}"
            )


def _check_filters(query: Query, limits: Limits) -> None:
    """Sizes alone; what the clauses may ask, the attributes know."""
    if len(query.exclude) > limits.excluded:
        raise InvalidQueryError(
            f"exclude must be at most {limits.excluded} item ids, got {len(query.exclude)}"
        )
    clauses = list(query.filters)
    if len(clauses) > limits.clauses:
        raise InvalidQueryError(
            f"filters must have at most {limits.clauses} clauses, got {len(clauses)}"
        )
    for clause in clauses:
        if isinstance(clause, AnyOf) and len(clause.values) > limits.values:
            raise InvalidQueryError(
                f"values of attribute {clause.attribute!r} must be at most {limits.values}, "
                f"got {len(clause.values)}"
            )


def check_id(name: str, value: str, limits: Limits) -> None:
    """Refuse an id that is empty or too long.

    Raises:
        InvalidQueryError: names the field, the rule and the length.
    """
    if not 1 <= len(value) <= limits.id_length:
        raise InvalidQueryError(
            f"{name} must have 1 to {limits.id_length} characters, got {len(value)}"
        )
