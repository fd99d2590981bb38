"""The one thread that loads an engine and makes every call to it."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

from serving.query import Recommender

T = TypeVar("T")
Load = Callable[[], Recommender]


class EngineThread:
    """Works on one request at a time, in the order of arrival, off the event loop.

    The engine is loaded in the thread that uses it; what arrives earlier waits. A request whose
    caller has gone before its turn is dropped before any work. Knows nothing of gRPC.
    """

    def __init__(self, load: Load) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")
        self._load = load
        self._engine: Future[Recommender]

    def __enter__(self) -> "EngineThread":
        """Begin to load the engine."""
        self._engine = self._executor.submit(self._load)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Drop what still waits; a call in work ends by itself."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    @property
    def engine(self) -> Recommender:
        """The engine that answers now, once it is loaded; for what any thread may ask.

        Raises:
            Exception: whatever loading raised.
        """
        return self._engine.result()

    async def ready(self) -> Mapping[str, str]:
        """Wait until the engine is loaded.

        Returns:
            Fingerprints of its release.

        Raises:
            Exception: whatever loading raised.
        """
        return await self.run(lambda engine: engine.versions)

    async def run(self, work: Callable[[Recommender], T]) -> T:
        """Do some work with the engine when its turn comes.

        Cancelled before that, it is never done.
        """
        loop = asyncio.get_running_loop()
        # Loading was submitted first, so that its result is there by now.
        return await loop.run_in_executor(self._executor, lambda: work(self._engine.result()))
