"""Requests to the server."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from shortlist_client.api.event import Event
from shortlist_client.api.filters import Filters


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
