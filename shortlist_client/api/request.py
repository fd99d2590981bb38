"""Whom a request is about, and what it wishes for.

Types are checked when an object is created (TypeError); ranges and lengths are checked by the
server.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shortlist_client.api.checks import (
    FLAG,
    NUMBER,
    STRING,
    WHOLE_NUMBER,
    Kind,
    check,
    check_mapping,
    members,
)
from shortlist_client.api.filters import Filters


@dataclass(frozen=True, kw_only=True)
class Shopper:
    """Whom to answer for; without any field, a stranger, who gets the best-selling items."""

    user_id: str | None = None
    """A user that the release or the recorded events know."""
    history: Sequence[str] = ()
    """Item ids, oldest first. Replaces the history that is known of the user."""
    history_times: Sequence[int] = ()
    """Unix seconds of each item, never decreasing; empty if unknown."""
    history_actions: Sequence[str] = ()
    """Action on each item (`view`, `purchase`, …); empty if unknown."""
    search: str = ""
    """What the shopper is looking for, in words. The towers alone then decide the order."""
    vector: Sequence[float] = ()
    """An embedding that replaces the shopper's, not allowed together with a search. The towers
    alone then decide the order; items of the history are still left out."""

    def __post_init__(self) -> None:
        if self.user_id is not None:
            check("user_id", self.user_id, STRING)
        check("search", self.search, STRING)
        _freeze(self, "history", STRING)
        _freeze(self, "history_times", WHOLE_NUMBER)
        _freeze(self, "history_actions", STRING)
        _freeze(self, "vector", NUMBER)


@dataclass(frozen=True, kw_only=True)
class Diversity:
    """How the items of an answer must differ; the default changes nothing."""

    strength: float = 0.0
    """How much similarity to better-placed items counts against an item, 0 to 1."""
    at_most: Mapping[str, int] = field(default_factory=dict, hash=False)
    """How many items may share a value, by keyword attribute. Items without one are not limited."""
    calibrated: float = 0.0
    """How much the shares of values in the answer should be those of the history, 0 to 1; not
    together with `strength`."""
    calibrated_by: str = ""
    """Attribute of the values, one of a profile's preferences; empty for the first of them."""

    def __post_init__(self) -> None:
        check("strength", self.strength, NUMBER)
        check_mapping("at_most", self.at_most, WHOLE_NUMBER)
        check("calibrated", self.calibrated, NUMBER)
        check("calibrated_by", self.calibrated_by, STRING)
        object.__setattr__(self, "at_most", dict(self.at_most))  # the caller keeps its own

    def __bool__(self) -> bool:
        return bool(self.strength or self.at_most or self.calibrated or self.calibrated_by)


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What an answer should be like. A call refuses wishes that it cannot honour."""

    limit: int | None = None
    """Items wanted; None for 20, or for all candidates of `rank`."""
    filters: Filters = field(default_factory=Filters)
    """Conditions that every returned item meets."""
    exclude: Sequence[str] = ()
    """Item ids to leave out, besides those of the history."""
    diversity: Diversity = field(default_factory=Diversity)
    """How the items must differ; they are chosen from the whole shortlist."""
    explain: bool = False
    """Adds to each item the items of the history that caused it. Several times slower."""
    explain_texts: bool = False
    """Adds to each item the fields of its own text that caused it. Slower still."""
    release: str = ""
    """Id of the release that must answer, as in `versions["release"]` of an answer; empty for the
    live one."""
    request_id: str = ""
    """The caller's name for this request; the answer repeats it."""
    min_probability: float = 0.0
    """Leaves out items that are less likely to be among the next ones, within 0 and 1, and items
    whose probability is unknown."""
    placement: str = ""
    """Where in the shop the items are shown, for the log of what was shown: at most 64 ASCII
    letters, digits and `_-./`. It does not change the answer."""

    def __post_init__(self) -> None:
        if self.limit is not None:
            check("limit", self.limit, WHOLE_NUMBER)
        check("filters", self.filters, FILTERS)
        check("diversity", self.diversity, DIVERSITY)
        check("explain", self.explain, FLAG)
        check("explain_texts", self.explain_texts, FLAG)
        check("release", self.release, STRING)
        check("request_id", self.request_id, STRING)
        check("min_probability", self.min_probability, NUMBER)
        check("placement", self.placement, STRING)
        _freeze(self, "exclude", STRING)


ABOUT_SHOPPER = frozenset({"user_id", "history", "history_times", "history_actions"})
ANY_CALL = frozenset({"release", "request_id"})
LISTS = ANY_CALL | {"limit", "filters", "exclude"}
EXPLAINED = frozenset({"explain", "explain_texts"})
SHOWN = LISTS | {"placement"}
RECALLED = ABOUT_SHOPPER | SHOWN | EXPLAINED | {"search", "vector", "diversity", "min_probability"}
HONOURED: Mapping[str, frozenset[str]] = {
    "recommend": RECALLED,
    "retrieve": RECALLED,
    "rank": ABOUT_SHOPPER | ANY_CALL | EXPLAINED | {"limit"},
    "similar": SHOWN,
    "embed shopper": ABOUT_SHOPPER | ANY_CALL | {"search"},
    "embed items": ANY_CALL,
    "embed texts": ANY_CALL,
    "profile": ABOUT_SHOPPER | ANY_CALL,
    "answer": LISTS,
    "classify items": ANY_CALL,
    "classify texts": ANY_CALL,
}
"""Fields of `Shopper` and `Wishes` that each call honours. The server refuses all others."""

FILTERS = Kind("Filters", "Filters", (Filters,))
DIVERSITY = Kind("a Diversity", "Diversity", (Diversity,))


def _freeze(instance: Any, name: str, kind: Kind) -> None:
    """Check a sequence and store it as a tuple, so that it cannot change afterwards."""
    object.__setattr__(instance, name, members(name, getattr(instance, name), kind))
