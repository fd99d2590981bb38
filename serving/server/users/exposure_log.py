"""Logs the answers that a server shows, in a thread of its own."""

import logging
import math
import threading
import time
import uuid
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b

from prometheus_client import CollectorRegistry, Counter

from events.exposures.exposure_store import ExposureStore
from events.exposures.rules import check_exposure
from events.privacy.erased_users import ErasedUsers
from lineage.manifest import ArtifactError
from serving.api.request import Request
from serving.live.low_priority import short_switch_interval, yield_processor
from serving.server.access.client import current_client_name
from serving.server.users.clock import Clock
from serving.server.users.exposures_config import ExposuresConfig
from serving.server.users.user_events import PRUNE_SECONDS, oldest_retained
from shortlist_client.api.exposure import Exposure
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb

logger = logging.getLogger(__name__)
QUEUED = 5_000
"""Exposures that wait at most; a further one is dropped."""
BATCH = 200
"""Exposures of one transaction at most"""
WRITE_SECONDS = 0.5
"""Time between two looks at the queue"""
PRUNES = 10
"""Transactions of pruning in a row"""
PAUSE_SECONDS = 0.02
"""Time between two of them, for those who record events"""
QUIET_SECONDS = 60.0
"""Time between two log lines of a kind"""
STOP_SECONDS = 4.0
"""Longest wait for the end of the thread"""
SALT = b"shortlist: logged users"
"""Makes the sample independent of others by the same ids"""


class ExposureLog:
    """Queues what is shown and writes it in the background; never delays or fails an answer.

    What does not fit into the queue, and what the store does not take, is dropped, counted, and
    logged once a minute.
    """

    def __init__(
        self,
        store: ExposureStore,
        config: ExposuresConfig,
        *,
        erased: ErasedUsers,
        clock: Clock,
        registry: CollectorRegistry,
    ) -> None:
        """Take the parts.

        Args:
            store: Where exposures go; it must stay open until `stop` has returned.
            config: Which of them, and how long they stay.
            erased: Erased users.
            clock: Clock of the events.
            registry: Where the metrics are registered.
        """
        self._store, self._config = store, config
        self._erased, self._clock = erased, clock
        self._waiting: deque[Exposure] = deque()
        self._stopped, self._quiet_until = threading.Event(), dict[str, float]()
        self._since_pruned, self._prune_at = 0, -math.inf
        self._written = Counter(
            "shortlist_exposures_written", "Exposures that were stored", registry=registry
        )
        self._dropped = Counter(
            "shortlist_exposures_dropped",
            "Exposures that were not stored: the queue was full, the store failed, a rule was "
            "broken, or the user is erased",
            ["reason"],
            registry=registry,
        )
        for reason in ("queue", "store", "rule", "erased"):
            self._dropped.labels(reason)
        self._thread = threading.Thread(target=self._run, name="exposures", daemon=True)

    @property
    def is_on(self) -> bool:
        """Whether any answer is logged."""
        return self._config.rate > 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def log(self, request: Request, answer: pb.Answer) -> None:
        """Queue an answer that is about to be shown, if its user is of the sample.

        An answer without a request id gets one.
        """
        answer.request_id = answer.request_id or uuid.uuid4().hex
        user_id = request.shopper.user_id or ""
        if not answer.items or not is_sampled(user_id or answer.request_id, self._config.rate):
            return
        if len(self._waiting) >= QUEUED:
            self._drop(1, "queue", f"{QUEUED} exposures wait")
            return
        exposure = Exposure(
            request_id=answer.request_id,
            time=int(self._clock.latest()),
            client=current_client_name(),
            user_id=user_id,
            placement=request.wishes.placement,
            method=request.method.value,
            release=answer.versions.get("release", ""),
            item_ids=tuple([item.item_id for item in answer.items]),
            scores=tuple([item.score for item in answer.items]),
        )
        self._waiting.append(exposure)

    def stop(self) -> None:
        """Write what waits, and end the thread; what takes longer than seconds is dropped."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS)
        if left := len(self._waiting):
            self._waiting.clear()
            self._drop(left, "store", f"{left} exposures were not written in time")

    def _run(self) -> None:
        yield_processor()
        pause = WRITE_SECONDS if self._config.rate else PRUNE_SECONDS
        stopped = False
        while not stopped:
            self._prune()
            stopped = self._stopped.wait(pause)
            while taken := self._take():
                self._write(taken)

    def _take(self) -> Sequence[Exposure]:
        taken = list[Exposure]()
        with suppress(IndexError):  # nothing waits any more
            while len(taken) < BATCH:
                taken.append(self._waiting.popleft())
        return taken

    def _write(self, taken: Sequence[Exposure]) -> None:
        """Store exposures; drop them if that fails."""
        valid = list(filter(self._keeps_rules, taken))
        if not valid:
            return
        try:
            with short_switch_interval():
                digests = [self._digests_of(exposure) for exposure in valid]
                stored = self._store.append(valid, digests=digests)
        except Exception as error:
            self._drop(len(valid), "store", _reason(error), unknown=error)
            return
        self._written.inc(stored)
        self._dropped.labels("erased").inc(len(valid) - stored)
        self._since_pruned += stored

    def _keeps_rules(self, exposure: Exposure) -> bool:
        try:
            check_exposure(exposure)
        except ValueError as error:
            rule = str(error).partition(", got")[0]  # the value may be the user's id
            self._drop(1, "rule", rule)
            return False
        return True

    def _digests_of(self, exposure: Exposure) -> Sequence[str]:
        return self._erased.digests_of(exposure.user_id) if exposure.user_id else ()

    def _prune(self) -> None:
        """Remove what is too old or too many, hourly and after many writes."""
        most = self._config.max_rows
        is_due = self._since_pruned >= max(most // 100, BATCH)
        if not is_due and time.monotonic() < self._prune_at:
            return
        self._prune_at = time.monotonic() + PRUNE_SECONDS
        before = oldest_retained(self._config.days, at=self._clock.earliest())
        try:
            for _ in range(PRUNES):
                if not self._store.prune(before=before, rows=most):
                    self._since_pruned = 0
                    return
                if self._stopped.wait(PAUSE_SECONDS):
                    return
        except Exception as error:
            self._report("prune", _reason(error), error)
            return
        self._prune_at = -math.inf  # there is more

    def _drop(self, count: int, kind: str, reason: str, unknown: Exception | None = None) -> None:
        self._dropped.labels(kind).inc(count)
        self._report(kind, reason, unknown)

    def _report(self, kind: str, reason: str, error: Exception | None) -> None:
        """Log a reason, each kind at most once in some time."""
        now = time.monotonic()
        if now < self._quiet_until.get(kind, -math.inf):
            return
        self._quiet_until[kind] = now + QUIET_SECONDS
        known = error is None or isinstance(error, ArtifactError | OSError)
        logger.error(
            "exposures cannot be %s now: %s",
            "pruned" if kind == "prune" else "logged",
            reason,
            exc_info=None if known else error,
        )


def is_sampled(user: str, rate: float) -> bool:
    """Whether a user, or a stranger's request, is of the sample; the same on every server."""
    digest = blake2b(user.encode(errors="surrogatepass"), digest_size=8, key=SALT).digest()
    return int.from_bytes(digest) < rate * 2**64


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, ArtifactError | OSError) else repr(error)
