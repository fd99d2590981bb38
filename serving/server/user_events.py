"""What users did since the release was built, kept and looked up off the event loop."""

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from events.event import Outcome
from events.event_store import EventStore, StoreError
from serving.api.errors import UnavailableError
from serving.batching.engine_thread import EngineThread
from serving.batching.micro_batcher import MicroBatcher
from serving.catalogue.change_log import changes_path
from shortlist_client.api.event import ID_LENGTH, PURCHASE, Event

logger = logging.getLogger(__name__)
EVENTS = "events.sqlite"
"""Beside a dataset's releases, or beside stages as they were built; as the items' changes are."""
READERS = 2
PAUSE_SECONDS = 1.0
"""Between two looks whether a store that was away is there again"""
PRUNE_SECONDS = 3_600.0
"""Between two times that old events are removed"""
COUNT_SECONDS = 5.0
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

    lookup_seconds: float = 0.5
    """How long a user's events may take to be read, s; beyond it, as while the store is away, the
    answer rests on what the release knows and is marked so."""

    keep_days: float | None = None
    """Days after which the server removes events for good, once an hour; by default never."""

    def __post_init__(self) -> None:
        if self.keep_days is not None and not 0 < self.keep_days < math.inf:
            raise ValueError(f"keep_days must be positive, got {self.keep_days:g}")
        if self.history_length < 1:
            raise ValueError(f"history_length must be at least 1, got {self.history_length}")
        if self.lookup_seconds <= 0:
            raise ValueError(f"lookup_seconds must be positive, got {self.lookup_seconds}")

    def address(self, root: Path) -> str:
        """Where the events beside a release, or beside stages as they were built, are."""
        return self.store or str(changes_path(root).with_name(EVENTS))

    def counted(self, known: Sequence[str]) -> tuple[str, ...]:
        """Actions that belong to a history.

        Args:
            known: Those of the release's interactions.
        """
        return tuple(dict.fromkeys((PURCHASE, *known))) if self.history is None else self.history


class UserEvents:
    """Appends events and looks users up. Of the engine it asks what its release calls actions."""

    def __init__(self, store: EventStore, config: EventsConfig, engine: EngineThread) -> None:
        """Take the parts.

        Args:
            store: Open; it is closed with these.
            config: What counts.
            engine: Whose release it is.
        """
        self._store, self._config, self._engine = store, config, engine
        self._gathered = MicroBatcher(store.append, most=TOGETHER, name="events")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="histories")
        self._looking: set[asyncio.Task[Sequence[Event] | None]] = set()
        self._away, self._again = False, 0.0
        self._pruning: asyncio.Task[None] | None = None

    async def append(self, events: Sequence[Event]) -> Sequence[Outcome]:
        """Keep events that keep the rules; they are on the disk when this returns.

        Raises:
            UnavailableError: they cannot be kept now.
        """
        try:
            return await self._gathered(events)
        except StoreError as error:
            raise _unavailable(error, "events cannot be kept now") from error

    async def of(self, user_id: str, *, patience: float = math.inf) -> Sequence[Event] | None:
        """What belongs to a user's history, oldest first; None where it cannot be read now.

        While the store is away one look a second tries it again, and nobody else waits for it.

        Args:
            user_id: Who.
            patience: How long to wait for it at most, s.
        """
        if "\0" in user_id or not 1 <= len(user_id) <= ID_LENGTH:
            return ()  # nothing can be kept of such a user
        if self._engine.version_token is None:
            await self._engine.ready()
        if self._away:
            if time.monotonic() < self._again:
                return None
            self._again = time.monotonic() + PAUSE_SECONDS
        looking = asyncio.create_task(self._looked_up(user_id))
        self._looking.add(looking)
        looking.add_done_callback(self._looking.discard)
        await asyncio.wait({looking}, timeout=min(patience, self._config.lookup_seconds))
        return looking.result() if looking.done() else None

    def begin(self) -> None:
        """Remove old events from now on, where that is wanted."""
        if self._config.keep_days is not None and self._pruning is None:
            self._pruning = asyncio.create_task(self._prune(self._config.keep_days))

    async def count(self) -> int | None:
        """How many events are kept; None where they cannot be counted now."""
        if self._away:
            return None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(COUNT_SECONDS):
                return await loop.run_in_executor(self._readers, self._store.count)
        except (StoreError, TimeoutError) as error:
            logger.error("events cannot be counted now: %s", error)
            return None

    async def close(self) -> None:
        """Finish what is in work and close the store."""
        for task in (*self._looking, self._pruning):
            if task is not None:
                task.cancel()
        await self._gathered.close()
        self._readers.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._store.close)

    async def _looked_up(self, user_id: str) -> Sequence[Event] | None:
        """A look that goes on when who wanted it has gone: it tells whether the store is there."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._config.lookup_seconds):
                events = await loop.run_in_executor(self._readers, self._look, user_id)
        except (StoreError, TimeoutError) as error:
            reason = str(error) or f"nothing came within {self._config.lookup_seconds:g} s"
            logger.error("users' events cannot be read now: %s", reason)
            self._away, self._again = True, time.monotonic() + PAUSE_SECONDS
            return None
        if self._away:
            logger.info("users' events can be read again")
        self._away = False
        return events

    async def _prune(self, days: float) -> None:
        while True:
            try:
                pruned = await asyncio.to_thread(self._store.prune, oldest_kept(days))
                logger.info("%d events were older than %g days and are removed", pruned, days)
            except StoreError as error:
                logger.error("old events cannot be removed now: %s", error)
            await asyncio.sleep(PRUNE_SECONDS)

    def _look(self, user_id: str) -> Sequence[Event]:
        actions = self._config.counted(self._engine.engine.current.actions)
        return self._store.history(user_id, actions, self._config.history_length)


def oldest_kept(days: float) -> int:
    """Unix seconds before which events are older than so many days."""
    return math.ceil(time.time() - 86_400 * days)


def _unavailable(error: StoreError, told: str) -> UnavailableError:
    logger.error("%s", error)
    return UnavailableError(told)
