"""Bounded queue of requests for the engine, and the choice of the next batch."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from serving.api.errors import QueueFullError
from serving.api.request import Request
from serving.batching.fair_queue import FairQueue
from shortlist_client.api.answer import Answer

LEAST_RETRY = 0.01
"""Shortest retry delay for a refused request, seconds"""
RECENT = 0.2
"""Weight of the last batch in the moving average of seconds per request"""
Answered = tuple[Answer, Mapping[str, str]]
"""An answer, and the fingerprints of the release that gave it"""


@dataclass(frozen=True, kw_only=True)
class QueueConfig:
    """Queueing and batching of requests."""

    requests: int = 32
    """Requests that may wait; further requests are refused at once with a time to retry. Then the
    client with the most waiting requests is refused, not one that has fewer."""
    client_requests: int | None = None
    """Requests of one client that may wait; by default as many as of all clients together."""
    batch_items: int = 2048
    """Largest batch, in items of histories plus items to rank; a larger request is answered alone.
    A higher value gives more requests per second and a longer latency of each."""
    delay_ms: float = 2.0
    """Longest wait for a batch as large as the last one, ms. After a single request the engine does
    not wait for a second one."""
    stream_requests: int = 1
    """Requests of streams in one batch, taken only while no other request waits. A request that
    arrives meanwhile waits for the whole batch. A higher value shortens jobs on an idle server."""

    def __post_init__(self) -> None:
        minimums = {"requests": 1, "batch_items": 1, "delay_ms": 0, "stream_requests": 1}
        for name, minimum in minimums.items():
            if getattr(self, name) < minimum:
                raise ValueError(f"{name} must be at least {minimum}, got {getattr(self, name)}")
        if self.client_requests is not None and self.client_requests < 1:
            raise ValueError(f"client_requests must be at least 1, got {self.client_requests}")


@dataclass(frozen=True, kw_only=True, eq=False)
class QueuedRequest:
    """A request in the queue, and the future of its answer."""

    request: Request
    future: asyncio.Future[Answered]
    patient: bool = False
    """Whether all other requests go first"""
    since: float = field(default_factory=time.monotonic)
    """Time of arrival, seconds of `time.monotonic`"""

    @property
    def late(self) -> bool:
        """Whether the deadline has passed."""
        return self.request.deadline <= time.monotonic()

    def is_wanted(self, late: str) -> bool:
        """Whether the caller waits and has time left.

        Args:
            late: What a caller is told whose deadline has passed.
        """
        if self.late and not self.future.done():
            self.deliver(TimeoutError(late))
        return not (self.late or self.future.done())

    def deliver(self, result: Answered | Exception) -> None:
        """Set the answer or error in the caller's event loop, unless loop or caller are gone."""
        with suppress(RuntimeError):  # the loop has ended
            self.future.get_loop().call_soon_threadsafe(self._resolve, result)

    def _resolve(self, result: Answered | Exception) -> None:
        if self.future.done():
            return
        if isinstance(result, Exception):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)


class RequestQueue:
    """A bounded queue in which clients take turns. Not thread-safe: callers hold a lock.

    It has three lanes: quick requests are answered in batches, long ones in pieces, and patient
    ones after all others. The callers bound the number of patient requests.
    """

    def __init__(self, config: QueueConfig) -> None:
        self._config = config
        self._quick: FairQueue[QueuedRequest] = FairQueue()
        self._long: FairQueue[QueuedRequest] = FairQueue()
        self._patient: FairQueue[QueuedRequest] = FairQueue()
        self._seconds = 0.0

    def __len__(self) -> int:
        return len(self._quick) + len(self._long) + len(self._patient)

    def add(self, request: QueuedRequest) -> None:
        """Add a request to the queue. A full queue refuses the client with the most requests.

        Raises:
            QueueFullError: the queue is full, and no other client has more requests in it.
        """
        client = request.request.client
        if request.patient:
            self._patient.add(client, request)
            return
        if self._is_full_for(client):
            for lane in (self._quick, self._long):
                lane.retain(_is_wanted)
            if self._is_full_for(client):
                self._make_room(client)
        (self._long if request.request.is_long else self._quick).add(client, request)

    def take(self, cost: Callable[[Request], int]) -> list[QueuedRequest]:
        """Take the next batch of quick requests, clients in turns, without cancelled and late ones.

        Args:
            cost: Work for a request, items.
        """
        return self._take_from(self._quick, cost, len(self._quick))

    def take_long(self, cost: Callable[[Request], int]) -> list[QueuedRequest]:
        """Take the next long request, as a batch of its own."""
        return self._take_from(self._long, cost, 1)

    def take_patient(self, cost: Callable[[Request], int]) -> list[QueuedRequest]:
        """Take the next batch of patient requests, if no others wait."""
        if self.hasty:
            return []
        return self._take_from(self._patient, cost, self._config.stream_requests)

    def take_all(self) -> list[QueuedRequest]:
        """Take every request."""
        lanes = (self._quick, self._long, self._patient)
        return [lane.take(0) for lane in lanes for _ in range(len(lane))]

    def _of(self, client: str) -> int:
        """Number of requests of a client that are not patient."""
        return self._quick.of(client) + self._long.of(client)

    def _is_full_for(self, client: str) -> bool:
        most = self._config.client_requests or self._config.requests
        return self.hasty >= self._config.requests or self._of(client) >= most

    @property
    def hasty(self) -> int:
        """Number of requests that are not patient."""
        return len(self._quick) + len(self._long)

    def _make_room(self, client: str) -> None:
        """Refuse a newest request of the client that has the most, or else raise."""
        waiting, own = self.hasty, self._of(client)
        longest = max({*self._quick.clients, *self._long.clients}, key=self._of)
        refused = QueueFullError(waiting, max(waiting * self._seconds, LEAST_RETRY))
        # with one request more they would only change places
        if waiting < self._config.requests or self._of(longest) <= own + 1:
            raise refused
        fuller = max(self._quick, self._long, key=lambda lane: lane.of(longest))
        fuller.take_newest(longest).deliver(refused)

    def _take_from(
        self, waiting: FairQueue[QueuedRequest], cost: Callable[[Request], int], most: int
    ) -> list[QueuedRequest]:
        taken: list[QueuedRequest] = []
        left = self._config.batch_items
        while waiting and len(taken) < most:
            request = waiting.next()
            if not _is_wanted(request):
                waiting.take(0)
                continue
            size = cost(request.request)
            left -= size
            if taken and left < 0:
                break
            taken.append(waiting.take(max(size, 1)))
        return taken

    def record(self, requests: int, seconds: float) -> None:
        """Update the average time per request with a batch of `requests` that took `seconds`."""
        each = seconds / requests
        self._seconds += (RECENT if self._seconds else 1.0) * (each - self._seconds)


def _is_wanted(request: QueuedRequest) -> bool:
    return request.is_wanted("the deadline passed before the engine was free")
