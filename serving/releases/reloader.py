"""Follows `CURRENT`: what becomes live is loaded beside what serves, and takes its place."""

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
"""Priority of the thread that loads, below that of the one that answers"""
TURN_SECONDS = 2e-4
"""How long the interpreter's lock is kept from others while a release is loaded; 5 ms as a rule"""


class Reloader:
    """Sees to it that what serves is what is live.

    A release that cannot be loaded is logged and passed over until another becomes live, or until
    it is asked for; what serves goes on.
    """

    def __init__(self, root: Path, load: Callable[[Path], LiveRecommender]) -> None:
        """Begin with a release.

        Args:
            root: Folder of the live release, beside the link that says so.
            load: Makes an engine of a release's folder, warm.
        """
        self.releases = root.parent
        """Folder of the dataset's releases"""
        self._load = load
        self._serving = self._tried = root.name
        self._one_at_a_time = threading.Lock()

    @property
    def serving(self) -> str:
        """Id of the release that answers."""
        return self._serving

    async def follow(self, thread: EngineThread, *, every: float, asked: asyncio.Event) -> None:
        """Look what is live until cancelled.

        Args:
            thread: What serves.
            every: Seconds from one look to the next.
            asked: Set by whoever wants a look at once, also at what failed before.
        """
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), every)
            await asyncio.to_thread(self.look, thread, again=asked.is_set())
            asked.clear()

    def look(self, thread: EngineThread, *, again: bool = False) -> None:
        """Let what is live serve; returns when it does, or cannot.

        Args:
            thread: What serves.
            again: Whether to try what failed before.
        """
        with self._one_at_a_time:
            self._look(thread, again=again)

    def activate(
        self, thread: EngineThread, release_id: str, *, wanted: Callable[[], bool]
    ) -> None:
        """Make a release live and let it serve; both, or nothing has changed.

        It is loaded first, so that what cannot be loaded does not become live.

        Args:
            thread: What serves.
            release_id: Which.
            wanted: Asked once it is loaded: whether it still is to become live.

        Raises:
            ArtifactError: it is not there, not whole or cannot be loaded; or the releases cannot
                be changed now.
            TimeoutError: it is not wanted any more.
        """
        with self._one_at_a_time:
            if release_id == self._serving:
                roll_back(self.releases, release_id)
                return
            self._exchange(thread, release_id, before=lambda: self._go_live(release_id, wanted))
            self._tried = release_id
        _give_back_memory()

    def try_out(self, release_id: str) -> None:
        """Load a release, warm, and let go of it.

        Raises:
            ArtifactError: it is not there, not whole or cannot be loaded.
        """
        with self._one_at_a_time, _short_turns():
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
            live = str(error)  # told once, as a release that cannot be loaded
        tried, self._tried = self._tried, live
        if live in {"", self._serving} or (live == tried and not again):
            return
        try:
            self._exchange(thread, live)
        except UnavailableError:  # the server stopped meanwhile
            return
        except Exception as error:
            reason = error if isinstance(error, ArtifactError) else "it failed"
            logger.error(  # what an operator can mend needs no traceback
                "%s goes on, %s cannot be loaded: %s",
                self._serving,
                live,
                reason,
                exc_info=None if isinstance(error, ArtifactError) else error,
            )
        _give_back_memory()

    def _exchange(
        self, thread: EngineThread, live: str, *, before: Callable[[], None] = lambda: None
    ) -> None:
        """Load a release, do something, let it serve; where any of it fails, the old one stays."""
        started = time.perf_counter()
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        logger.info("loading %s beside %s", live, self._serving)
        with _short_turns():
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
def _short_turns() -> Iterator[None]:
    """Let whoever answers have the interpreter's lock soon, though it is let go of often."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(TURN_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _give_back_memory() -> None:
    """Free what nobody refers to any more, and give it to the system where libc can."""
    gc.collect()
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
