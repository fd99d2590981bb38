"""Prometheus metrics of the release that a server answers from."""

from collections.abc import Iterator
from datetime import UTC, datetime

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

from serving.releases.reloader import Reloader


class ReleaseCollector(Collector):
    """Id and age of the served release, and the failed attempts at serving the live one."""

    def __init__(self, reloader: Reloader) -> None:
        self._reloader = reloader

    @override
    def collect(self) -> Iterator[InfoMetricFamily | GaugeMetricFamily]:
        """Yield the metrics as they are now."""
        served = InfoMetricFamily("shortlist_release", "Release that the server answers from")
        served.add_metric([], {"release_id": self._reloader.serving})
        yield served
        age = datetime.now(UTC) - self._reloader.published
        yield GaugeMetricFamily(
            "shortlist_release_age_seconds",
            "Time since the release that the server answers from was published",
            value=max(age.total_seconds(), 0.0),
        )
        yield GaugeMetricFamily(
            "shortlist_release_swap_failures",
            "Failed attempts at serving the live release; 0 if the server answers from it",
            value=self._reloader.failures,
        )
