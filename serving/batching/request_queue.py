"""Requests that wait for the engine: how many may, and which are worked on together."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from serving.api.errors import QueueFullError
from serving.api.request import Request
from shortlist_client.api.answer import Answer

LEAST_RETRY = 0.01
"""Seconds after which it is worth asking again."""
RECENT = 0.2
"""Weight of the last batch in what is known of how long a request takes."""
Answered = tuple[Answer, Mapping[str, str]]
"""An answer, and the fingerprints of the release that gave it."""


@dataclass(frozen=True, kw_only=True)
class QueueConfig:
    """How requests wait for the engine and are worked on together."""

    requests: int = 32
    """Requests that wait at most; whoever comes then is told at once when to ask again."""
    batch_items: int = 2048
    """Items of histories, and items to be ranked, that are read together; a request with more is
    worked on alone. The more, the more requests a second, and the longer each of them takes."""
    delay_ms: float = 2.0
    """How long the engine waits at most for as many requests as it answered together before. It
    does not wait for a second request where one was answered alone."""

    stream_requests: int = 1
    """Requests of streams that are answered together, while nobody else waits: a request that comes
    meanwhile waits for so many. The more, the sooner jobs end on a server that has nothing else to
    do."""

    def __post_init__(self) -> None:
        leasts = {"requests": 1, "batch_items": 1, "delay_ms": 0, "stream_requests": 1}
        for name, least in leasts.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class QueuedRequest:
    """A request and whoever awaits its answer."""

    request: Request
    future: asyncio.Future[Answered]
    patient: bool = False
    """Whether all others come first"""
    since: float = field(default_factory=time.monotonic)

    @property
    def late(self) -> bool:
        """Whether its time is over."""
        return self.request.deadline <= time.monotonic()

    def tell(self, told: Answered | Exception) -> None:
        """Hand the answer to the event loop of whoever awaits it, if both are still there."""
        with suppress(RuntimeError):  # the loop has ended
            self.future.get_loop().call_soon_threadsafe(self._settle, told)

    def _settle(self, told: Answered | Exception) -> None:
        if self.future.done():
            return
        if isinstance(told, Exception):
            self.future.set_exception(told)
        else:
            self.future.set_result(told)


class RequestQueue:
    """A queue with a bound, in order of arrival. Not safe for threads: who uses it holds a lock.

    Patient requests stand in a queue of their own, which whoever sends them bounds.
    """

    def __init__(self, config: QueueConfig) -> None:
        self._config = config
        self._waiting: deque[QueuedRequest] = deque()
        self._patient: deque[QueuedRequest] = deque()
        self._seconds = 0.0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._patient)

    def add(self, request: QueuedRequest) -> None:
        """Let a request wait.

        Raises:
            QueueFullError: as many wait as may.
        """
        if request.patient:
            self._patient.append(request)
            return
        if len(self._waiting) >= self._config.requests:
            self._waiting = deque(filter(self._still_there, self._waiting))
        if (count := len(self._waiting)) >= self._config.requests:
            raise QueueFullError(count, max(count * self._seconds, LEAST_RETRY))
        self._waiting.append(request)

    def take(self, cost: Callable[[Request], int]) -> list[QueuedRequest]:
        """Take what is to be worked on together, the oldest first, without those that are gone.

        Patient requests are taken where there are no others.
        """
        return self._first(self._waiting, cost, len(self._waiting)) or self._first(
            self._patient, cost, self._config.stream_requests
        )

    def _first(
        self, waiting: deque[QueuedRequest], cost: Callable[[Request], int], most: int
    ) -> list[QueuedRequest]:
        taken: list[QueuedRequest] = []
        left = self._config.batch_items
        while waiting and len(taken) < most:
            if self._still_there(waiting[0]):
                left -= cost(waiting[0].request)
                if taken and left < 0:
                    break
                taken.append(waiting[0])
            waiting.popleft()
        return taken

    @staticmethod
    def _still_there(request: QueuedRequest) -> bool:
        if request.late and not request.future.done():
            request.tell(TimeoutError("the deadline passed before the engine was free"))
        return not (request.late or request.future.done())

    def book(self, requests: int, seconds: float) -> None:
        """Remember how long some requests took together."""
        each = seconds / requests
        self._seconds += (RECENT if self._seconds else 1.0) * (each - self._seconds)
