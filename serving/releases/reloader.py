"""Follows `CURRENT`: loads a new live release beside the serving one, then swaps them."""

import asyncio
import ctypes
import gc
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from lineage.manifest import ArtifactError
from lineage.releases import CURRENT, live_id, read_record
from serving.api.errors import UnavailableError
from serving.api.protocol import LiveRecommender
from serving.batching.engine_thread import EngineThread
from serving.live.low_priority import short_switch_interval, yield_processor
from serving.releases.publish import roll_back
from serving.releases.retries import Retries

logger = logging.getLogger(__name__)


class Reloader:
    """Makes the server serve the live release.

    If a release cannot be loaded, the old release serves on. The reloader tries again, with growing
    pauses, until it succeeds or another release becomes live. It logs each reason once.
    """

    def __init__(
        self,
        root: Path,
        load: Callable[[Path], LiveRecommender],
        *,
        retries: Callable[[str], Retries] = Retries,
    ) -> None:
        """Start with the serving release.

        Args:
            root: Folder of the serving release, in the folder with the `CURRENT` link.
            load: Loads a release from its folder as a warm engine.
            retries: Schedules the attempts at a release, by its id.

        Raises:
            CorruptArtifactError: the release's record cannot be read.
        """
        self.releases = root.parent
        """Folder of the dataset's releases"""
        self._load, self._retries = load, retries
        self._serving = read_record(root)
        self._pending: Retries | None = None
        self._asked = False
        self._lock = threading.Lock()

    @property
    def serving(self) -> str:
        """Id of the serving release."""
        return self._serving.release_id

    @property
    def published(self) -> datetime:
        """Time when the serving release was published, UTC."""
        return datetime.fromisoformat(self._serving.when)

    @property
    def failures(self) -> int:
        """Failed attempts at serving the live release; 0 if it is served."""
        pending = self._pending
        return 0 if pending is None else pending.failures

    async def follow(self, thread: EngineThread, *, every: float, asked: asyncio.Event) -> None:
        """Check for a new live release periodically, until cancelled.

        Args:
            thread: Thread that serves.
            every: Interval between checks, seconds.
            asked: Set to check at once and to retry a release that failed before. However often
                it is set, attempts at a release are at least a second apart.
        """
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), every)
            again = asked.is_set()
            asked.clear()  # before the look, so that none that is set meanwhile is lost
            await asyncio.to_thread(self.look, thread, again=again)

    def look(self, thread: EngineThread, *, again: bool = False) -> None:
        """Serve the live release; return when it serves, cannot be loaded or has to wait.

        Args:
            thread: Thread that serves.
            again: Whether to retry a release that failed before soon, without a growing pause.
        """
        with self._lock:
            self._asked |= again
            self._look(thread)

    def activate(
        self, thread: EngineThread, release_id: str, *, wanted: Callable[[], bool]
    ) -> None:
        """Make a release live and serve it: both, or neither.

        The release is loaded first, so that one that cannot be loaded never becomes live.

        Args:
            thread: Thread that serves.
            release_id: Id of the release.
            wanted: Called when the release is loaded; tells whether to go on and make it live.

        Raises:
            ArtifactError: the release is missing, damaged or cannot be loaded; or another process
                changes the releases.
            TimeoutError: `wanted` returned false.
        """
        with self._lock:
            if release_id == self.serving:
                roll_back(self.releases, release_id)
                return
            self._swap(thread, release_id, before=lambda: self._go_live(release_id, wanted))
            self._pending = None
        _give_back_memory()

    def try_out(self, release_id: str) -> None:
        """Load and warm up a release, then discard it.

        Raises:
            ArtifactError: the release is missing, damaged or cannot be loaded.
        """
        with self._lock, short_switch_interval():
            self._load(self.releases / release_id)
        _give_back_memory()

    def _go_live(self, release_id: str, wanted: Callable[[], bool]) -> None:
        if not wanted():
            raise TimeoutError(f"the deadline passed before {release_id} could become live")
        roll_back(self.releases, release_id)

    def _look(self, thread: EngineThread) -> None:
        try:
            live = live_id(self.releases) or self.serving
        except ArtifactError as error:
            self._count_failure(CURRENT, error)
            return
        if live == self.serving:
            self._pending, self._asked = None, False
            return
        if not self._pending_for(live).is_due(asked=self._asked):
            return
        self._asked, started = False, time.perf_counter()
        try:
            self._swap(thread, live)
            self._pending = None
        except UnavailableError:  # the server stopped meanwhile
            return
        except Exception as error:
            self._count_failure(live, error, time.perf_counter() - started)
        _give_back_memory()

    def _pending_for(self, live: str) -> Retries:
        """The attempts at a release, forgetting those at another one."""
        if self._pending is None or self._pending.release_id != live:
            self._pending = self._retries(live)
        return self._pending

    def _count_failure(self, live: str, error: Exception, seconds: float = 0.0) -> None:
        """Schedule the next attempt, and log the reason unless it was logged before."""
        own = isinstance(error, ArtifactError)  # an operator can mend it, without a traceback
        if self._pending_for(live).failed(f"{type(error).__name__}: {error}", seconds):
            logger.error(
                "%s goes on, %s cannot be loaded, and is tried again: %s",
                self.serving,
                live,
                error if own else "it failed",
                exc_info=None if own else error,
            )

    def _swap(
        self, thread: EngineThread, live: str, *, before: Callable[[], None] = lambda: None
    ) -> None:
        """Load a release, call `before`, serve the release; on any failure the old one stays."""
        started = time.perf_counter()
        yield_processor()
        logger.info("loading %s beside %s", live, self.serving)
        with short_switch_interval():
            engine = self._load(self.releases / live)
        record = read_record(self.releases / live)
        with thread.engine.hand_over(engine):
            before()
            thread.replace(engine)
        logger.info(
            "serving %s instead of %s, after %.1f s",
            live,
            self.serving,
            time.perf_counter() - started,
        )
        self._serving = record


def _give_back_memory() -> None:
    """Collect garbage, and return free memory to the system if libc supports it."""
    gc.collect()
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
