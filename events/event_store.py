"""Where events are kept: what every store promises, and how one is opened by its address.

Errors:
    ArtifactError
        StoreError: the store is out of reach, refuses, or holds something else.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from events.event import Outcome
from lineage.manifest import ArtifactError
from shortlist_client.api.event import Event

BATCH = 10_000
"""Rows that a scan holds in memory."""


class StoreError(ArtifactError):
    """The store is out of reach, refuses, or holds something else."""


class EventStore(Protocol):
    """Keeps events. Any thread may call, several at once; so may other processes.

    Every method raises StoreError where the store cannot do it.
    """

    def append(self, events: Sequence[Event]) -> list[Outcome]:
        """Keep events, in their order: on the disk when this returns, and in every later answer.

        All of them are kept, or none. Events that keep the rules of `check_event` are taken.

        Returns:
            What became of each.
        """

    def history(self, user_id: str, actions: Sequence[str], limit: int) -> list[Event]:
        """What a user did, by one look into an index.

        Args:
            user_id: Who.
            actions: Those that are looked for; none finds nothing.
            limit: The newest so many at most.

        Returns:
            Oldest first; of one second, in the order in which they were recorded. Of each the
            user, item, action, time and id are true, request and position are left out.
        """

    def count(self) -> int:
        """How many events are kept."""

    def prune(self, before: int) -> int:
        """Remove events that happened before a time, some at a time, so that nobody waits for long.

        One that is sent again afterwards is recorded as if for the first time.

        Args:
            before: Unix seconds.

        Returns:
            How many were removed; some are when this raises.
        """

    def scan(self) -> Iterator[Event]:
        """All events, in the order in which they were recorded; each whole."""

    def close(self) -> None:
        """Let go of files and connections; a store that is closed raises StoreError."""
