"""What users did since the release was built, kept and looked up off the event loop."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from events.event import ID_LENGTH, PURCHASE, Event, Outcome
from events.store import EventStore, StoreError
from serving.changes import changes_path
from serving.engine_thread import EngineThread
from serving.gathering import Gathering
from serving.query import UnavailableError

logger = logging.getLogger(__name__)
EVENTS = "events.sqlite"
"""Beside a dataset's releases, or beside stages as they were built; as the items' changes are."""
READERS = 2
TOGETHER = 5_000
"""Events of a transaction"""


@dataclass(frozen=True, kw_only=True)
class EventsConfig:
    """Where events are kept, and which of them tell of a user."""

    store: str | None = None
    """Path of an SQLite file, or `postgresql://user@host/database`, which several servers may
    share; by default `events.sqlite` beside the releases."""
    history: tuple[str, ...] | None = None
    """Actions that belong to a user's history; by default `purchase`, and those that the release's
    interactions know."""
    history_length: int = 1_000
    """The newest events of a user that are looked up; the release's own come before them."""

    def __post_init__(self) -> None:
        if self.history_length < 1:
            raise ValueError(f"history_length must be at least 1, got {self.history_length}")

    def address(self, root: Path) -> str:
        """Where the events beside a release, or beside stages as they were built, are."""
        return self.store or str(changes_path(root).with_name(EVENTS))

    def counted(self, known: Sequence[str]) -> tuple[str, ...]:
        """Actions that belong to a history.

        Args:
            known: Those of the release's interactions.
        """
        return tuple(dict.fromkeys((PURCHASE, *known))) if self.history is None else self.history


class Histories:
    """Appends events and looks users up. Of the engine it asks what its release calls actions."""

    def __init__(self, store: EventStore, config: EventsConfig, engine: EngineThread) -> None:
        """Take the parts.

        Args:
            store: Open; it is closed with these.
            config: What counts.
            engine: Whose release it is.
        """
        self._store, self._config, self._engine = store, config, engine
        self._gathered = Gathering(store.append, most=TOGETHER, name="events")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="histories")

    async def append(self, events: Sequence[Event]) -> Sequence[Outcome]:
        """Keep events that keep the rules; they are on the disk when this returns.

        Raises:
            UnavailableError: they cannot be kept now.
        """
        try:
            return await self._gathered(events)
        except StoreError as error:
            raise _unavailable(error, "events cannot be kept now") from error

    async def of(self, user_id: str) -> Sequence[Event]:
        """What belongs to a user's history, oldest first.

        Raises:
            UnavailableError: it cannot be read now.
        """
        if "\0" in user_id or not 1 <= len(user_id) <= ID_LENGTH:
            return ()  # nothing can be kept of such a user
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._readers, self._look, user_id)
        except StoreError as error:
            raise _unavailable(error, "the user's events cannot be read now") from error

    async def count(self) -> int | None:
        """How many events are kept; None where they cannot be counted now."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._readers, self._store.count)
        except StoreError as error:
            logger.error("%s", error)
            return None

    async def close(self) -> None:
        """Finish what is in work and close the store."""
        await self._gathered.close()
        self._readers.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._store.close)

    def _look(self, user_id: str) -> Sequence[Event]:
        actions = self._config.counted(self._engine.engine.actions)
        return self._store.history(user_id, actions, self._config.history_length)


def _unavailable(error: StoreError, told: str) -> UnavailableError:
    logger.error("%s", error)
    return UnavailableError(told)
