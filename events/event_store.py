"""The protocol of event stores.

Errors:
    ArtifactError
        StoreError: the store is unreachable, refuses, or is no event store.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from events.event import Outcome
from lineage.manifest import ArtifactError
from shortlist_client.api.event import Event

BATCH = 10_000
"""Rows of one query of a scan, and of one transaction of `prune`."""


class StoreError(ArtifactError):
    """The store is unreachable, refuses, or is no event store."""


class EventStore(Protocol):
    """Stores events for many threads and processes at once.

    Every method raises StoreError if the store cannot do its work.
    """

    def append(self, events: Sequence[Event]) -> list[Outcome]:
        """Store events in their order, all or none.

        When this returns they are on the disk, and every later call sees them. They must keep the
        rules of `check_event`.

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

    def close(self) -> None:
        """Release files and connections; later calls raise StoreError."""
