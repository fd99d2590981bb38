"""Where events are stored, under which names of users, and which of them are a history."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dataset.actions import fold_action
from events.event_store import EventStore
from events.open_store import open_store
from events.privacy.erased_users import ErasedUsers, erased_beside
from events.privacy.key_file import KeyFile
from events.privacy.keyed_store import KeyedStore
from serving.catalogue.change_log import changes_path
from shortlist_client.api.event import PURCHASE

EVENTS = "events.sqlite"
"""File beside a dataset's releases or beside unpublished stages, like the journal of changes."""


@dataclass(frozen=True, kw_only=True)
class EventsConfig:
    """Where events are stored, and which of them belong to a user's history."""

    store: str | None = None
    """Path of an SQLite file, or `postgresql://user@host/database`, which several servers may
    share; by default `events.sqlite` beside the releases."""
    history: tuple[str, ...] | None = None
    """Actions that change a user's history; by default `purchase`, the actions of the release's
    interactions, and all that take away, such as `refund` and `hide`."""
    history_length: int = 1_000
    """How many of a user's newest events are read; they follow the history in the release."""

    lookup_seconds: float = 0.5
    """Time limit for reading a user's events, seconds. Beyond it, or while the store is out of
    reach, the answer uses the release alone and is marked as degraded."""

    user_ids: Literal["plain", "keyed"] = "plain"
    """`keyed` stores users under hashes of their ids that need a key."""
    user_key: Path | None = None
    """File of the keys of `keyed`; `python -m serving rotate-key` makes it and changes the key."""

    recount_minutes: float = 10
    """Interval at which new events move purchase counts, best sellers and neighbours, minutes; they
    count from the next full hour on. 0 keeps the counts of the release."""

    keep_days: float | None = None
    """Age at which the server removes events for good, days; checked hourly, by default never."""

    def __post_init__(self) -> None:
        if (self.user_ids == "keyed") != (self.user_key is not None):
            raise ValueError(
                f"user_key must be a file with keyed user_ids, and absent with plain ones, "
                f"got {self.user_key} with {self.user_ids}"
            )
        if self.keep_days is not None and not 0 < self.keep_days < math.inf:
            raise ValueError(f"keep_days must be positive, got {self.keep_days:g}")
        if not 0 <= self.recount_minutes < math.inf:
            raise ValueError(f"recount_minutes must be at least 0, got {self.recount_minutes:g}")
        if self.history_length < 1:
            raise ValueError(f"history_length must be at least 1, got {self.history_length}")
        if self.lookup_seconds <= 0:
            raise ValueError(f"lookup_seconds must be positive, got {self.lookup_seconds}")

    def address(self, root: Path) -> str:
        """Address of the event store for a release or for unpublished stages in folder `root`."""
        return self.store or str(changes_path(root).with_name(EVENTS))

    def opened(self, root: Path) -> EventStore:
        """The event store for a release or for unpublished stages; callers pass ids of users.

        Raises:
            ArtifactError: the store or the keys cannot be opened.
        """
        store = open_store(self.address(root))
        if self.user_key is None:
            return store
        try:
            return KeyedStore(store, KeyFile(self.user_key))
        except BaseException:
            store.close()
            raise

    def erased(self, root: Path) -> ErasedUsers:
        """The erased users beside a release or unpublished stages.

        Raises:
            ArtifactError: the list or the keys cannot be read.
        """
        return erased_beside(changes_path(root).parent, self.user_key)

    def history_actions(self, known: Sequence[str]) -> tuple[str, ...]:
        """Actions that belong to a history.

        Args:
            known: Actions that change a history, as the release knows them.
        """
        names = (PURCHASE, *known) if self.history is None else self.history
        return tuple(dict.fromkeys(map(fold_action, names)))
