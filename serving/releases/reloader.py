"""Follows `CURRENT`: loads a new live release beside the serving one, then swaps them."""

import asyncio
import ctypes
import gc
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lineage.manifest import ArtifactError
from lineage.releases import live_id
from serving.api.errors import UnavailableError
from serving.api.protocol import LiveRecommender
from serving.batching.engine_thread import EngineThread
from serving.releases.publish import roll_back

logger = logging.getLogger(__name__)
NICE = 10
"""Niceness of the loading thread; lowers its priority below the answering thread"""
SWITCH_SECONDS = 2e-4
"""Switch interval of the interpreter lock while a release loads, seconds; the default is 5 ms"""


class Reloader:
    """Makes the server serve the live release.

    If a release cannot be loaded, the reloader logs it once and the old release serves on. It
    tries again when another release becomes live or when a caller asks for it.
    """

    def __init__(self, root: Path, load: Callable[[Path], LiveRecommender]) -> None:
        """Start with the serving release.

        Args:
            root: Folder of the serving release, in the folder with the `CURRENT` link.
            load: Loads a release from its folder as a warm engine.
        """
        self.releases = root.parent
        """Folder of the dataset's releases"""
        self._load = load
        self._serving = self._tried = root.name
        self._lock = threading.Lock()

    @property
    def serving(self) -> str:
        """Id of the serving release."""
        return self._serving

    async def follow(self, thread: EngineThread, *, every: float, asked: asyncio.Event) -> None:
        """Check for a new live release periodically, until cancelled.

        Args:
            thread: Thread that serves.
            every: Interval between checks, seconds.
            asked: Set to check at once and to retry a release that failed before.
        """
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), every)
            await asyncio.to_thread(self.look, thread, again=asked.is_set())
            asked.clear()

    def look(self, thread: EngineThread, *, again: bool = False) -> None:
        """Serve the live release; return when it serves or cannot be loaded.

        Args:
            thread: Thread that serves.
            again: Whether to retry a release that failed before.
        """
        with self._lock:
            self._look(thread, again=again)

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
            if release_id == self._serving:
                roll_back(self.releases, release_id)
                return
            self._swap(thread, release_id, before=lambda: self._go_live(release_id, wanted))
            self._tried = release_id
        _give_back_memory()

    def try_out(self, release_id: str) -> None:
        """Load and warm up a release, then discard it.

        Raises:
            ArtifactError: the release is missing, damaged or cannot be loaded.
        """
        with self._lock, _short_switch_interval():
            self._load(self.releases / release_id)
        _give_back_memory()

    def _go_live(self, release_id: str, wanted: Callable[[], bool]) -> None:
        if not wanted():
            raise TimeoutError(f"the deadline passed before {release_id} could become live")
        roll_back(self.releases, release_id)

    def _look(self, thread: EngineThread, *, again: bool) -> None:
        try:
            live = live_id(self.releases) or ""
        except ArtifactError as error:
            live = str(error)  # logged once, like a release that cannot be loaded
        tried, self._tried = self._tried, live
        if live in {"", self._serving} or (live == tried and not again):
            return
        try:
            self._swap(thread, live)
        except UnavailableError:  # the server stopped meanwhile
            return
        except Exception as error:
            reason = error if isinstance(error, ArtifactError) else "it failed"
            logger.error(  # errors that an operator can fix need no traceback
                "%s goes on, %s cannot be loaded: %s",
                self._serving,
                live,
                reason,
                exc_info=None if isinstance(error, ArtifactError) else error,
            )
        _give_back_memory()

    def _swap(
        self, thread: EngineThread, live: str, *, before: Callable[[], None] = lambda: None
    ) -> None:
        """Load a release, call `before`, serve the release; on any failure the old one stays."""
        started = time.perf_counter()
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        logger.info("loading %s beside %s", live, self._serving)
        with _short_switch_interval():
            engine = self._load(self.releases / live)
        with thread.engine.hand_over(engine):
            before()
            thread.replace(engine)
        logger.info(
            "serving %s instead of %s, after %.1f s",
            live,
            self._serving,
            time.perf_counter() - started,
        )
        self._serving = live


@contextmanager
def _short_switch_interval() -> Iterator[None]:
    """Shorten the switch interval, so that the answering thread gets the interpreter lock soon."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _give_back_memory() -> None:
    """Collect garbage, and return free memory to the system if libc supports it."""
    gc.collect()
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
