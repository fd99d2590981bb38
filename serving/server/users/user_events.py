"""Users' events since the release was built, stored and read off the event loop."""

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

from dataset.actions import fold_action
from events.event import Outcome
from events.event_store import EventStore, StoreError
from serving.api.errors import UnavailableError
from serving.batching.engine_thread import EngineThread
from serving.batching.fair_slots import FairSlots
from serving.batching.micro_batcher import MicroBatcher
from serving.server.users.clock import Clock
from serving.server.users.events_config import EventsConfig
from shortlist_client.api.event import ID_LENGTH, Event

logger = logging.getLogger(__name__)
READERS = 2
"""Threads that read the store."""
PAUSE_SECONDS = 1.0
"""Time between two attempts to reach a store that failed."""
PRUNE_SECONDS = 3_600.0
"""Time between two removals of old events."""
COUNT_SECONDS = 5.0
"""Time limit for counting the events."""
BATCH_EVENTS = 5_000
"""Maximum number of events in one transaction."""


class UserEvents:
    """Appends events and reads users' events; uses the engine only for the release's actions."""

    def __init__(self, store: EventStore, config: EventsConfig, engine: EngineThread) -> None:
        """Take the parts.

        Args:
            store: Open event store; `close` closes it.
            config: Configuration of the events.
            engine: Engine of the release.
        """
        self._store, self._config, self._engine = store, config, engine
        self.clock = Clock()
        """Clock of the events"""
        self._appends = MicroBatcher(self._append, most=BATCH_EVENTS, name="events")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="histories")
        self._reading = FairSlots(READERS)
        self._lookups: set[asyncio.Task[Sequence[Event] | None]] = set()
        self._unreachable, self._retry_at = False, 0.0
        self._pruning: asyncio.Task[None] | None = None

    async def append(
        self, events: Sequence[Event], *, client: str, owner: str = ""
    ) -> Sequence[Outcome]:
        """Store valid events, with folded actions; they are on disk when this returns.

        Args:
            events: Valid events.
            client: Client whose turn the call takes.
            owner: Client to which the events' ids belong.

        Raises:
            UnavailableError: events cannot be stored now.
        """
        try:
            folded = [replace(event, action=fold_action(event.action)) for event in events]
            return await self._appends([(owner, event) for event in folded], client=client)
        except StoreError as error:
            raise _unavailable(error, "events cannot be stored now") from error

    async def history(
        self, user_id: str, *, client: str, timeout: float = math.inf
    ) -> Sequence[Event] | None:
        """The events of a user's history, oldest first; None if they cannot be read now.

        While the store is out of reach, one call a second tries it again; the others return at
        once.

        Args:
            user_id: The user.
            client: Client whose turn the call takes.
            timeout: How long to wait at most, seconds.
        """
        if "\0" in user_id or not 1 <= len(user_id) <= ID_LENGTH:
            return ()  # the store accepts no event of such a user
        if self._engine.version_token is None:
            await self._engine.ready()
        if self._unreachable:
            if time.monotonic() < self._retry_at:
                return None
            self._retry_at = time.monotonic() + PAUSE_SECONDS
        with suppress(TimeoutError):  # too many others; the store may be well
            async with asyncio.timeout(min(timeout, self._config.lookup_seconds)):
                await self._reading.acquire(client)
                return await asyncio.shield(self._begin_look_up(user_id))
        return None

    def start_pruning(self) -> None:
        """Remove old events regularly from now on, if `keep_days` is set."""
        if self._config.keep_days is not None and self._pruning is None:
            self._pruning = asyncio.create_task(self._prune(self._config.keep_days))

    async def count(self) -> int | None:
        """The number of stored events; None if they cannot be counted now."""
        if self._unreachable:
            return None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(COUNT_SECONDS):
                return await loop.run_in_executor(self._readers, self._store.count)
        except (StoreError, TimeoutError) as error:
            logger.error("events cannot be counted now: %s", error)
            return None

    async def close(self) -> None:
        """Finish appending, cancel the rest and close the store."""
        for task in (*self._lookups, self._pruning):
            if task is not None:
                task.cancel()
        await self._appends.close()
        self._readers.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._store.close)

    def _begin_look_up(self, user_id: str) -> asyncio.Task[Sequence[Event] | None]:
        """Read a user's events in a slot that was acquired."""
        lookup = asyncio.create_task(self._look_up(user_id))
        self._lookups.add(lookup)
        lookup.add_done_callback(self._lookups.discard)
        lookup.add_done_callback(lambda _: self._reading.release())
        return lookup

    async def _look_up(self, user_id: str) -> Sequence[Event] | None:
        """Read a user's events; goes on after its caller left, to learn if the store answers."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._config.lookup_seconds):
                events = await loop.run_in_executor(self._readers, self._read, user_id)
        except (StoreError, TimeoutError) as error:
            reason = str(error) or f"no answer within {self._config.lookup_seconds:g} s"
            logger.error("users' events cannot be read now: %s", reason)
            self._unreachable, self._retry_at = True, time.monotonic() + PAUSE_SECONDS
            return None
        if self._unreachable:
            logger.info("users' events can be read again")
        self._unreachable = False
        return events

    async def _prune(self, days: float) -> None:
        while True:
            try:
                before = oldest_retained(days, at=self.clock.earliest())
                pruned = await asyncio.to_thread(self._store.prune, before)
                logger.info("removed %d events older than %g days", pruned, days)
            except StoreError as error:
                logger.error("old events cannot be removed now: %s", error)
            await asyncio.sleep(PRUNE_SECONDS)

    def _append(self, sent: Sequence[tuple[str, Event]]) -> Sequence[Outcome]:
        owners, events = zip(*sent, strict=True)
        return self._store.append(events, clients=owners)

    def _read(self, user_id: str) -> Sequence[Event]:
        actions = self._config.history_actions(self._engine.engine.current.actions)
        return self._store.history(user_id, actions, self._config.history_length)


def oldest_retained(days: float, *, at: float) -> int:
    """The time before which events are older than `days` at a time, Unix seconds."""
    return math.ceil(at - 86_400 * days)


def _unavailable(error: StoreError, message: str) -> UnavailableError:
    logger.error("%s", error)
    return UnavailableError(message)
