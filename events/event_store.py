"""The protocol of event stores.

Errors:
    ArtifactError
        StoreError: the store is unreachable, refuses, or is no event store.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from events.event import Outcome
from events.exposures.exposure_store import ExposureStore
from lineage.manifest import ArtifactError
from shortlist_client.api.event import Event

BATCH = 1_000
"""Rows of one query of a scan or export, and of one transaction of `prune`. An export that its
caller does not read holds so many."""


Row = tuple[int, str, str, str, int]
"""Sequence number, user as stored, item, action and time of an event"""


class StoreError(ArtifactError):
    """The store is unreachable, refuses, or is no event store."""


class Removed(NamedTuple):
    """What an erasure removes of a user."""

    events: int
    """Number of events"""
    exposures: int
    """Number of exposures"""


@dataclass(frozen=True, kw_only=True)
class Erasure:
    """One erasure of a user, as the store remembers it: by a digest, never by the id."""

    sequence: int
    """Place among the erasures of the store; rises"""
    digest: str
    """Digest of the user's id"""
    time: int
    """When the user was erased, Unix seconds"""


class EventStore(Protocol):
    """Stores events for many threads and processes at once.

    Every method raises StoreError if the store cannot do its work.
    """

    @property
    def exposures(self) -> ExposureStore:
        """What was shown to users, in the same file or database."""

    def append(self, events: Sequence[Event], *, clients: Sequence[str] = ()) -> list[Outcome]:
        """Store events in their order, all or none.

        When this returns they are on the disk, and every later call sees them. They must keep the
        rules of `check_event`.

        Args:
            events: The events.
            clients: Name of the client that sends each event, by default ""; event ids of two
                clients never meet.

        Returns:
            Outcome of each event.
        """

    def history(self, user_id: str, actions: Sequence[str], limit: int) -> list[Event]:
        """Newest events of a user, by one index lookup.

        Args:
            user_id: Id of the user.
            actions: Actions to include; an empty sequence finds nothing.
            limit: Most events to return.

        Returns:
            Events, oldest first; within one second in the order of recording. They have user, item,
            action, time and id, but neither request id nor position.
        """

    def count(self) -> int:
        """Number of stored events."""

    def prune(self, before: int) -> int:
        """Remove events that happened before a time, in transactions that block others briefly.

        An event that is sent again afterwards counts as new.

        Args:
            before: Unix seconds.

        Returns:
            Number of removed events; if this raises, some are removed.
        """

    def scan(self) -> Iterator[Event]:
        """Yield all events with all fields, in the order of recording."""

    def since(
        self, sequence: int, actions: Sequence[str], *, later_than: int
    ) -> Iterator[Sequence[Row]]:
        """Yield batches of the events that have a later sequence number, ascending by it.

        Events that are being recorded at the same time may get lower numbers and be seen later:
        who wants all of them looks again some numbers further back, after some seconds.

        Args:
            sequence: Sequence number of an event; 0 to begin.
            actions: Actions to include; an empty sequence finds nothing.
            later_than: Unix seconds; events of this second and before it are left out.
        """

    def export(self, user_id: str) -> Iterator[Event]:
        """Yield all events of a user with all fields, whatever their client and action."""

    def erase(self, user_ids: Sequence[str], *, digest: str, at: int) -> Removed:
        """Remove all events and exposures of a user for good, and remember it: all, or nothing.

        Events that are recorded later count again: the user starts anew.

        Args:
            user_ids: All ids under which the user is stored.
            digest: Digest of the user's id, to remember the erasure by.
            at: Unix seconds.

        Returns:
            Number of removed events and exposures.
        """

    def erasures(self, after: int = 0) -> Sequence[Erasure]:
        """The erasures in their order.

        Args:
            after: Sequence number of the last erasure that the caller knows.
        """

    def rename(self, names: Mapping[str, str]) -> int:
        """Replace users' ids in events and exposures, and digests of erasures: all, or none.

        Args:
            names: The new id or digest, by the present one.

        Returns:
            Number of changed events and exposures.
        """

    def users(self, after: str = "") -> Sequence[str]:
        """Some of the ids of users with events or exposures, ascending; empty at the end.

        Args:
            after: Only ids behind this one, in the order of their characters' numbers.
        """

    def close(self) -> None:
        """Release files and connections; later calls raise StoreError."""
