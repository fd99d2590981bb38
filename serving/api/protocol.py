"""Protocols of an engine, as the server uses it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from events.event_store import EventStore
from retrieval.cache_config import CacheLookups
from serving.api.request import Request
from shortlist_client.api.answer import Answer
from shortlist_client.api.item import Item, KnownItem
from shortlist_client.api.operations import Counts
from shortlist_client.api.privacy import PastInteraction

Placed = tuple[int, Answer | Exception]
"""Position of a request in its batch, and its answer"""


@dataclass(frozen=True, kw_only=True)
class Recounted:
    """What one look at the recorded events brought."""

    read: int
    """Events of known items that were not known before"""
    events: int
    """All such events since the release's data end"""
    counted: int
    """Those of them that count as purchases"""
    as_of: int
    """Unix seconds before which purchases count"""
    pairs: int | None
    """Pairs in the neighbour lists if they were made again, else None"""


class Recommender(Protocol):
    """Answers requests from one immutable state of a release. Not thread-safe."""

    @property
    def versions(self) -> Mapping[str, str]:
        """Fingerprint of every stage; `release` has the id of the release, if it was published."""

    @property
    def version_token(self) -> object:
        """Token of the state; changes when the items or the release change."""

    @property
    def actions(self) -> Sequence[str]:
        """Names of the actions that change a history."""

    @property
    def cache_lookups(self) -> Mapping[str, CacheLookups]:
        """Hits and misses of the engine's caches, by name."""

    def past(self, user_id: str) -> Sequence[PastInteraction]:
        """A user's history in the release, oldest first; empty for an unknown or erased user."""

    def cost(self, request: Request) -> int:
        """Upper bound of the items to read for an answer: those of the history and those ranked."""

    def answers(self, requests: Sequence[Request]) -> Iterator[Placed | None]:
        """Answer requests together.

        Yields:
            Positions among the requests, in any order, each with its answer as soon as it is ready,
            or with its InvalidRequestError, UnknownItemError, OtherReleaseError or
            PreconditionError. None between two pieces of long work: then the caller may let others
            go first.
        """


class LiveRecommender(Protocol):
    """A release whose items can be read and changed while it answers. Thread-safe."""

    @property
    def current(self) -> Recommender:
        """The current state."""

    @property
    def counts(self) -> Counts:
        """Current numbers of items and changes, and the journal's size."""

    def check(self, item: Item) -> None:
        """Refuse an item that breaks a rule.

        Raises:
            InvalidRequestError: names the field, the rule and the value.
        """

    def upsert(self, items: Sequence[Item]) -> None:
        """Add or replace items: all of them, or none."""

    def delete(self, item_ids: Sequence[str]) -> None:
        """Remove items from every answer: all of them, or none."""

    def find(self, item_id: str) -> KnownItem | None:
        """The current form of an item; None if it is unknown or deleted."""

    def recount(
        self, store: EventStore, actions: Sequence[str], *, stopped: Callable[[], bool]
    ) -> Recounted | None:
        """Count the recorded events that the release does not contain; None if that is impossible.

        Raises:
            StoreError: the store cannot be read; the counts stay as they were.
        """

    def follow(self) -> None:
        """Apply the item changes of other servers from now on, until `close`."""

    @property
    def age_seconds(self) -> float | None:
        """Time since all item changes were known, seconds; None before `follow`."""

    def close(self) -> None:
        """Stop following, and let other processes change items."""

    def hand_over(self, successor: Any) -> AbstractContextManager[None]:
        """Context manager that hands item changes over to the engine of another release.

        When the block starts, the successor has every acknowledged change. Inside the block, no
        change is acknowledged. Afterwards this engine passes its changes on to the successor.
        """
