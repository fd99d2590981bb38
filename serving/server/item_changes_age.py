"""Reports to Prometheus how old the knowledge of item changes is."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

from serving.batching.engine_thread import EngineThread


class ItemChangesCollector(Collector):
    """Reports the time since this server knew all item changes of all servers."""

    def __init__(self, engine: EngineThread) -> None:
        """Take the thread of the engine, which need not be loaded yet."""
        self._engine = engine

    @override
    def collect(self) -> Iterator[GaugeMetricFamily]:
        age = self._engine.item_changes_age
        if age is not None:
            yield GaugeMetricFamily(
                "shortlist_item_changes_age_seconds",
                "Time since this server knew all item changes of all servers",
                value=age,
            )
