"""The one thread that runs the engine: answers queued requests in batches, long ones in pieces."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from types import TracebackType

from retrieval.cache_config import CacheLookups
from serving.api.errors import UnavailableError
from serving.api.protocol import LiveRecommender
from serving.api.request import Request
from serving.batching.job import Job, JobsAside
from serving.batching.request_queue import Answered, QueueConfig, QueuedRequest, RequestQueue

Load = Callable[[], LiveRecommender]


class EngineThread:
    """Answers requests in batches, in order of arrival, off the event loop.

    Long requests are answered in pieces: after each piece, a batch of the quick requests that wait
    is answered. Up to `ASIDE` long requests take turns.

    The thread loads the engine itself; earlier requests wait. A request is dropped before any work
    if its caller is gone or its deadline has passed. Knows nothing of gRPC.
    """

    def __init__(self, load: Load, config: QueueConfig) -> None:
        self._load, self._config = load, config
        self._waiting = RequestQueue(config)
        self._aside = JobsAside()
        self._changed = threading.Condition()
        self._closed = False
        self._loaded: Future[LiveRecommender] = Future()
        self._next: tuple[LiveRecommender, Future[None]] | None = None
        self._last_batch = 1
        self._thread = threading.Thread(target=self._run, name="engine")

    def __enter__(self) -> "EngineThread":
        """Start the thread, which loads the engine."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the thread after the running batch or piece; what waits or is aside is dropped."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    @property
    def engine(self) -> LiveRecommender:
        """The current engine; waits until it is loaded. Any thread may change its items.

        Raises:
            Exception: loading failed.
        """
        return self._loaded.result()

    @property
    def version_token(self) -> object | None:
        """Version token of the current engine; None until an engine is loaded."""
        return self.engine.current.version_token if self._is_loaded else None

    @property
    def item_changes_age(self) -> float | None:
        """Time since all item changes were known, seconds; None until they are followed."""
        return self.engine.age_seconds if self._is_loaded else None

    @property
    def cache_lookups(self) -> Mapping[str, CacheLookups]:
        """Hits and misses of the engine's caches, by name; empty until an engine is loaded."""
        return self.engine.current.cache_lookups if self._is_loaded else {}

    @property
    def _is_loaded(self) -> bool:
        return self._loaded.done() and self._loaded.exception() is None

    @property
    def waiting(self) -> int:
        """Number of requests that wait."""
        return len(self._waiting)

    async def ready(self) -> Mapping[str, str]:
        """Wait until the engine is loaded.

        Returns:
            Fingerprints of the engine's release.

        Raises:
            Exception: loading failed.
        """
        # shielded: who gives up waiting would otherwise cancel the future of all who wait
        engine = await asyncio.shield(asyncio.wrap_future(self._loaded))
        return engine.current.versions

    async def answer(self, request: Request, *, patient: bool = False) -> Answered:
        """Queue a request and wait for its answer. A request cancelled in the queue costs no work.

        Args:
            request: The request.
            patient: Whether all other requests go first. Callers bound the number of their patient
                requests themselves.

        Raises:
            QueueFullError: the queue is full.
            TimeoutError: the deadline passed in the queue.
            InvalidRequestError: the request breaks a rule.
            UnknownItemError: the item of the request is not in the catalogue.
            OtherReleaseError: the request is pinned to another release.
            PreconditionError: the release lacks a part that the request needs.
            UnavailableError: the thread has ended.
        """
        loop = asyncio.get_running_loop()
        waiting = QueuedRequest(request=request, future=loop.create_future(), patient=patient)
        with self._changed:
            self._check_open()
            self._waiting.add(waiting)
            self._changed.notify()
        future = waiting.future
        del waiting  # an error refers to this frame: the request would outlive its refusal
        try:
            return await future
        finally:
            del future, request

    def replace(self, engine: LiveRecommender) -> None:
        """Use another engine from the next batch on; return when it is in use.

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
        except BaseException as error:  # reported to all that wait for the engine
            self._loaded.set_exception(error)
            with self._changed:
                self._closed = True
                for request in self._waiting.take_all():
                    request.deliver(RuntimeError("the engine could not be loaded"))
            return
        self._loaded.set_result(engine)
        del engine
        while self._wait():
            self._work(self._quick_job())
            self._work(self._long_job())

    def _wait(self) -> bool:
        """Wait for work; wait `delay_ms` longer for as many requests as in the last batch.

        Returns:
            False once the thread is to end.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._next or len(self._waiting) or len(self._aside)
            )
            if self._next is not None:
                engine, done = self._next
                self._next, self._loaded = None, _done(engine)
                done.set_result(None)
            if len(self._waiting) < self._last_batch and not len(self._aside):
                self._changed.wait_for(
                    lambda: self._closed or len(self._waiting) >= self._last_batch,
                    timeout=self._config.delay_ms / 1e3,
                )
            return not self._closed

    def _quick_job(self) -> Job | None:
        """The next batch of quick requests."""
        with self._changed:
            engine = self.engine.current
            batch = self._waiting.take(engine.cost)
        self._last_batch = max(len(batch), 1)
        return Job(batch=batch, engine=engine) if batch else None

    def _long_job(self) -> Job | None:
        """The long job whose turn it is: new ones first, a patient one if there is no other."""
        with self._changed:
            engine, batch = self.engine.current, list[QueuedRequest]()
            if self._aside.may_begin_long:
                batch = self._waiting.take_long(engine.cost)
            if not batch and (job := self._aside.take_long()):
                return job
            if not batch and not self._waiting.hasty and (job := self._aside.take_patient()):
                return job
            batch = batch or self._waiting.take_patient(engine.cost)
        return Job(batch=batch, engine=engine) if batch else None

    def _work(self, job: Job | None) -> None:
        """Do the next piece of a job; set it aside if there is more to do."""
        if job is None:
            return
        if job.advance():
            self._aside.add(job)
            return
        with self._changed:
            self._waiting.record(len(job.batch), job.seconds)


def _done(engine: LiveRecommender) -> Future[LiveRecommender]:
    loaded: Future[LiveRecommender] = Future()
    loaded.set_result(engine)
    return loaded
