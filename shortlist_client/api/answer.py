"""Answers of the server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from shortlist_client.api.classification import Prediction
from shortlist_client.api.profile import Profile
from shortlist_client.api.reply import Reply


class Basis(Enum):
    """What the order of an answer is based on."""

    HISTORY = "history"
    """The shopper's history."""
    POPULARITY = "popularity"
    """Nothing is known of the shopper: the best-selling items."""
    ITEM = "item"
    """The item of the request."""
    SEARCH = "search"
    """The search, and the history if there is one."""
    VECTOR = "vector"
    """The vector of the request."""
    WITHHELD = "withheld"
    """Not told: the client lacks the role `explain`."""


class Source(Enum):
    """What recalled an item."""

    TOWERS = "towers"
    """The towers: the item is near the shopper's embedding."""
    NEIGHBOURS = "neighbours"
    """The neighbour lists: the item shares users with the items of the history."""
    BEST_SELLERS = "best sellers"
    """The best sellers: the item sells well as of now."""
    OWN_ITEMS = "own items"
    """The shopper's own items: the shopper had the item before, and it may come back."""
    WORDS = "words"
    """The words of the search: the item's text has them, or pieces of them."""
    GENERATED = "generated"
    """The decoder: it generated the item from the history."""


class Degraded(Enum):
    """What an answer lacks, and why."""

    DEADLINE = "deadline"
    """The ranking and the explanations: the deadline left too little time. The order is that of
    the shortlist."""
    REASONS = "reasons"
    """The explanations alone: the deadline left too little time."""
    HISTORY = "history"
    """The user's events since the release was built: they could not be read in time."""


@dataclass(frozen=True, kw_only=True)
class Reason:
    """How one item of the history changed the score of an item."""

    item_id: str
    """An item of the history."""
    contribution: float
    """How much lower the score would be without this item of the history, with the same
    shortlist."""


@dataclass(frozen=True, kw_only=True)
class TextReason:
    """How one field of an item's text changed its score by the towers."""

    field: str
    """`title`, or the name of a text or an attribute."""
    contribution: float
    """How much lower `tower_score` would be without this field, all else equal."""


@dataclass(frozen=True, kw_only=True)
class RankedItem:
    """One item of an answer."""

    item_id: str
    title: str
    score: float
    """What the answer is ordered by, descending unless the request has diversity."""
    tower_score: float | None
    """Cosine of the item's and the shopper's embeddings; None if no shopper is embedded."""
    neighbour_score: float | None
    """Recency-weighted co-occurrence with the history, 0 if there is none; None like
    `tower_score`."""
    sources: Sequence[Source]
    """What recalled the item; empty if nothing was recalled."""
    shortlist_rank: int | None
    """Position in the shortlist, from 1; None if `sources` is empty."""
    ranker_score: float | None
    """Logit of the ranker; None if the ranker did not score the item."""
    probability: float | None = None
    """Calibrated probability that the item is among the shopper's next ones; None if unknown."""
    reasons: Sequence[Reason] = ()
    """Reasons by the newest items of the history, most helpful first; empty unless the request has
    `explain`."""
    text_reasons: Sequence[TextReason] = ()
    """Reasons by field of the text, most helpful first; empty unless the request has
    `explain_texts`."""


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """The embedding of a shopper, an item or a text."""

    values: tuple[float, ...]
    """Coordinates; the vector has unit length."""
    item_id: str = ""
    """The item; empty for a shopper and for texts."""


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How many items each stage looked at, widest first."""

    corpus: int
    """Items of the catalogue now."""
    searched: int
    """Items that could have been returned; for `rank`, the known candidates."""
    recalled: int
    """Items in the shortlist."""
    ranked: int
    """Items that the ranker scored."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Items, best first, and how they were found."""

    items: Sequence[RankedItem]
    basis: Basis
    """What the order is based on."""
    coverage: Coverage
    """How many items the answer was chosen from."""
    unknown_item_ids: Sequence[str] = ()
    """Ids of the request that the catalogue does not have; they were skipped."""
    unknown_user: bool = False
    """Whether neither the release nor any event knows the user."""
    degraded: Degraded | None = None
    """What the answer lacks; None if it is complete."""
    embeddings: Sequence[Embedding] = ()
    """Embeddings of an `Embed` call, whose answer has no items."""
    profile: Profile | None = None
    """Profile of a `Profile` call, whose answer has no items."""
    reply: Reply | None = None
    """Reply of an `Answer` call, whose answer has no items."""
    predictions: Sequence[Prediction] = ()
    """Predictions of a `Classify` call, whose answer has no items."""
    target: str = ""
    """Column that a `Classify` call predicted."""
    milliseconds: Mapping[str, float]
    """Wall time by stage: `user_tower`, `index`, `ranker` and `total` are of all requests that were
    answered together, `reasons` and `text_reasons` of this one; `queue` is the time before."""


@dataclass(frozen=True, kw_only=True)
class Response(Answer):
    """An answer as a client receives it."""

    versions: Mapping[str, str]
    """Fingerprint of each stage of the release that answered; `release` has the id of the release,
    if it was published."""
    request_id: str
    """As in the wishes."""
