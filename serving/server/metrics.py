"""Prometheus metrics: counts and times of calls and of their stages."""

import math
from collections import defaultdict, deque
from collections.abc import Collection
from types import TracebackType

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from shortlist_client.api.operations import MethodStatistics

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histograms' buckets."""
RECENT = 1_000
"""Newest calls of a method whose times are stored for its percentiles."""


class Metrics:
    """Metrics of one server; served over HTTP inside `with`."""

    def __init__(self, host: str, port: int | None) -> None:
        """Create the metrics, all at 0.

        Args:
            host: Address to serve them on.
            port: TCP port; 0 takes a free one, None does not serve them.
        """
        self._host, self._port = host, port
        self.registry = CollectorRegistry()
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

    def __enter__(self) -> "Metrics":
        """Open the port.

        Raises:
            ValueError: the port is taken.
        """
        if self._port is not None:
            try:
                self._server, self._thread = start_http_server(
                    self._port, addr=self._host, registry=self.registry
                )
            except OSError as error:
                raise ValueError(
                    f"metrics_port must be free to bind, got {self._host}:{self._port}"
                ) from error
        return self

    @property
    def port(self) -> int:
        """TCP port of the metrics."""
        return int(self._server.server_port)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._port is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


def _percentile(seconds: Collection[float], share: float) -> float:
    """Percentile of at least one time, milliseconds; `share` is 0.5 for the median."""
    ascending = sorted(seconds)
    return 1e3 * ascending[math.ceil(share * len(ascending)) - 1]
