"""The thread that counts recorded events between two rebuilds."""

import logging
import threading
import time
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

from events.event_store import EventStore
from lineage.manifest import ArtifactError
from serving.api.protocol import LiveRecommender, Recounted
from serving.batching.engine_thread import EngineThread
from serving.live.low_priority import short_switch_interval, yield_processor
from serving.server.users.events_config import EventsConfig

logger = logging.getLogger(__name__)
WAIT_SECONDS = 1.0
"""Longest time until a new release is recounted"""
STOP_SECONDS = 5.0
"""Longest wait for the end of a round"""


class Recounting:
    """Recounts at the start, after each change of the release and then at intervals.

    A round that fails leaves the counts as they are and is tried again at the next interval; each
    reason is logged once.
    """

    def __init__(self, store: EventStore, config: EventsConfig, engine: EngineThread) -> None:
        """Take the open event store, the configuration of the events and the thread to serve."""
        self._store, self._config, self._engine = store, config, engine
        self._stopped, self._failure = threading.Event(), ""
        self._fresh_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="recounting", daemon=True)

    @property
    def age_seconds(self) -> float | None:
        """Time since all recorded events were known to the counts, seconds; None if never."""
        fresh = self._fresh_at
        return None if fresh is None else time.monotonic() - fresh

    def start(self) -> None:
        """Start the thread; the engine must be loaded."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; a step that lasts longer is left behind and changes nothing."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        yield_processor()
        recounted, due = None, 0.0
        while not self._stopped.is_set():
            engine = self._engine.engine
            if engine is not recounted or time.monotonic() >= due:
                due = time.monotonic() + 60 * self._config.recount_minutes
                self._round(engine, is_new=engine is not recounted)
                recounted = engine
            del engine  # a replaced release is freed
            self._stopped.wait(min(WAIT_SECONDS, max(due - time.monotonic(), 0.0)))

    def _round(self, engine: LiveRecommender, *, is_new: bool) -> None:
        started = time.monotonic()
        actions = self._config.history_actions(engine.current.actions)
        try:
            with short_switch_interval():
                done = engine.recount(self._store, actions, stopped=self._stopped.is_set)
        except Exception as error:
            self._report(error)
            return
        if self._stopped.is_set():
            return
        self._failure = ""
        if done is not None:
            self._fresh_at = started
            _log(done, time.monotonic() - started)
        elif is_new:
            logger.info("counts stay those of the release: its interactions have no times")

    def _report(self, error: Exception) -> None:
        known = isinstance(error, ArtifactError | OSError)
        reason = str(error) if known else repr(error)
        if reason != self._failure and not self._stopped.is_set():
            logger.error(
                "events cannot be counted now; the counts stay as they are: %s",
                reason,
                exc_info=None if known else error,
            )
        self._failure = reason


def _log(done: Recounted, seconds: float) -> None:
    logger.info(
        "recounted in %.1f s: %d new events; %d since the release's data, %d of them purchases; "
        "as of %s; %s",
        seconds,
        done.read,
        done.events,
        done.counted,
        time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(done.as_of)),
        "neighbours as before" if done.pairs is None else f"{done.pairs} pairs of neighbours",
    )


class CountsCollector(Collector):
    """Reports how old the counts are."""

    def __init__(self, recounting: Recounting) -> None:
        self._recounting = recounting

    @override
    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metric once the first round has ended."""
        age = self._recounting.age_seconds
        if age is not None:
            yield GaugeMetricFamily(
                "shortlist_counts_age_seconds",
                "Time since the counts of purchases knew all recorded events",
                value=age,
            )
