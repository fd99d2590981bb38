"""Prometheus metrics: counts and times of calls and of their stages."""

import math
from collections import defaultdict, deque
from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shortlist_client.api.operations import MethodStatistics

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histograms' buckets."""
RECENT = 1_000
"""Newest calls of a method whose times are stored for its percentiles."""


class Metrics:
    """Metrics of one server, all 0 at first."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        """Where Prometheus's client finds them"""
        self._calls = Counter(
            "shortlist_calls",
            "Finished calls, by method, status and client",
            ["method", "status", "client"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "shortlist_call_seconds",
            "Time from the arrival of a call to its end",
            ["method"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._stages = Histogram(
            "shortlist_stage_seconds",
            "Time of a stage of an answer, by its name in `milliseconds`, and total",
            ["stage"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._recent: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=RECENT))
        self.in_flight = Gauge(
            "shortlist_calls_in_flight", "Calls not finished yet", registry=self.registry
        )

    def count_call(self, method: str, status: str, client: str, seconds: float) -> None:
        """Count a finished call."""
        self._calls.labels(method, status, client).inc()
        self._seconds.labels(method).observe(seconds)
        self._recent[method].append(seconds)

    def methods(self) -> dict[str, MethodStatistics]:
        """Counts by status and time percentiles, by method."""
        calls: dict[str, dict[str, int]] = {method: {} for method in sorted(self._recent)}
        for sample in next(iter(self._calls.collect())).samples:
            if sample.name.endswith("_total"):
                of_method, status = calls[sample.labels["method"]], sample.labels["status"]
                of_method[status] = of_method.get(status, 0) + int(sample.value)
        return {
            method: MethodStatistics(
                calls=of_method,
                p50_milliseconds=_percentile(self._recent[method], 0.5),
                p99_milliseconds=_percentile(self._recent[method], 0.99),
            )
            for method, of_method in calls.items()
        }

    def count_stage(self, name: str, seconds: float) -> None:
        """Count a finished stage of an answer."""
        self._stages.labels(name).observe(seconds)


def _percentile(seconds: Collection[float], share: float) -> float:
    """Percentile of at least one time, milliseconds; `share` is 0.5 for the median."""
    ascending = sorted(seconds)
    return 1e3 * ascending[math.ceil(share * len(ascending)) - 1]
