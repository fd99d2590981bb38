"""The one thread that owns the engine: gathers what waits, and answers it together."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from types import TracebackType

from retrieval.embedding_cache import CacheLookups
from serving.api.errors import UnavailableError
from serving.api.protocol import LiveRecommender
from serving.api.request import Request
from serving.batching.request_queue import Answered, QueueConfig, QueuedRequest, RequestQueue
from shortlist_client.api.answer import Answer

logger = logging.getLogger(__name__)
Load = Callable[[], LiveRecommender]


class EngineThread:
    """Answers requests in the order of arrival, off the event loop, as many together as pays.

    The engine is loaded in the thread that uses it; what arrives earlier waits. A request whose
    caller has gone, or whose time is over, is dropped before any work. Knows nothing of gRPC.
    """

    def __init__(self, load: Load, config: QueueConfig) -> None:
        self._load, self._config = load, config
        self._waiting = RequestQueue(config)
        self._changed = threading.Condition()
        self._closed = False
        self._loaded: Future[LiveRecommender] = Future()
        self._next: tuple[LiveRecommender, Future[None]] | None = None
        self._together = 1
        self._thread = threading.Thread(target=self._run, name="engine")

    def __enter__(self) -> "EngineThread":
        """Begin to load the engine."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Drop what still waits; a call in work ends by itself."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    @property
    def engine(self) -> LiveRecommender:
        """The engine that answers now, once it is loaded; any thread may change its items.

        Raises:
            Exception: whatever loading raised.
        """
        return self._loaded.result()

    @property
    def version_token(self) -> object | None:
        """Identifies the state that answers now; None until an engine is loaded."""
        return self.engine.current.version_token if self._is_loaded else None

    @property
    def cache_lookups(self) -> Mapping[str, CacheLookups]:
        """Hits and misses of the engine's caches, by name; none until it is loaded."""
        return self.engine.current.cache_lookups if self._is_loaded else {}

    @property
    def _is_loaded(self) -> bool:
        return self._loaded.done() and self._loaded.exception() is None

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    async def ready(self) -> Mapping[str, str]:
        """Wait until the engine is loaded.

        Returns:
            Fingerprints of its release.

        Raises:
            Exception: whatever loading raised.
        """
        engine = await asyncio.wrap_future(self._loaded)
        return engine.current.versions

    async def answer(self, request: Request, *, patient: bool = False) -> Answered:
        """Wait for the answer to a request. Cancelled before its turn, it is never worked on.

        Args:
            request: What is asked.
            patient: Whether all others come first; who asks so bounds how many wait.

        Raises:
            QueueFullError: too many wait.
            TimeoutError: its deadline passed before its turn.
            InvalidRequestError: it breaks a rule.
            UnknownItemError: it is about an item that the catalogue does not hold.
            OtherReleaseError: it is bound to another release.
            UnavailableError: the thread has ended.
        """
        loop = asyncio.get_running_loop()
        waiting = QueuedRequest(request=request, future=loop.create_future(), patient=patient)
        with self._changed:
            self._check_open()
            self._waiting.add(waiting)
            self._changed.notify()
        return await waiting.future

    def replace(self, engine: LiveRecommender) -> None:
        """Let another engine answer, from the next batch on; returns when it does.

        Raises:
            UnavailableError: the thread has ended.
        """
        done: Future[None] = Future()
        with self._changed:
            self._check_open()
            self._next = engine, done
            self._changed.notify()
        done.result()

    def _check_open(self) -> None:
        if self._closed:
            raise UnavailableError("the server is stopping")

    def _run(self) -> None:
        try:
            engine = self._load()
        except BaseException as error:  # whoever waits for it is told
            self._loaded.set_exception(error)
            with self._changed:
                self._closed = True
                while requests := self._waiting.take(lambda _: 0):
                    for request in requests:
                        request.tell(RuntimeError("the engine could not be loaded"))
            return
        self._loaded.set_result(engine)
        del engine
        while self._wait():
            batch = self._taken()
            if batch:
                self._together = len(batch)
                self._work(batch)
            del batch

    def _wait(self) -> bool:
        """Wait for something to do, and for more of it where more is to be expected."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._next or len(self._waiting))
            if self._next is not None:
                engine, done = self._next
                self._next, self._loaded = None, _of(engine)
                done.set_result(None)
            if len(self._waiting) < self._together:
                self._changed.wait_for(
                    lambda: self._closed or len(self._waiting) >= self._together,
                    timeout=self._config.delay_ms / 1e3,
                )
            return not self._closed

    def _taken(self) -> list[QueuedRequest]:
        with self._changed:
            return self._waiting.take(self.engine.current.cost)

    def _work(self, batch: Sequence[QueuedRequest]) -> None:
        """Answer some requests together; where that fails, each by itself."""
        started, engine, left = time.monotonic(), self.engine.current, list(batch)
        try:
            for place, answer in engine.answers([one.request for one in batch]):
                left.remove(batch[place])
                self._tell(batch[place], answer, engine.versions, started)
        except Exception as error:
            if len(left) == 1:
                self._tell(left[0], error, engine.versions, started)
            else:
                logger.exception("%d requests failed together; each is tried by itself", len(left))
                for request in left:
                    self._work([request])
        with self._changed:
            self._waiting.book(len(batch), time.monotonic() - started)

    @staticmethod
    def _tell(
        request: QueuedRequest,
        answer: Answer | Exception,
        versions: Mapping[str, str],
        started: float,
    ) -> None:
        if isinstance(answer, Exception):
            request.tell(answer)
        else:
            timed = {"queue": 1e3 * (started - request.since), **answer.milliseconds}
            request.tell((replace(answer, milliseconds=timed), versions))


def _of(engine: LiveRecommender) -> Future[LiveRecommender]:
    loaded: Future[LiveRecommender] = Future()
    loaded.set_result(engine)
    return loaded
