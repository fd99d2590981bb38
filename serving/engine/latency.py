"""Estimates the time of a batch from recent batches of about the same size."""

from collections import defaultdict, deque
from dataclasses import dataclass, field

REMEMBERED = 16
"""Measurements retained for each size class"""
QUANTILE = 0.8
"""Quantile of the measurements that serves as the estimate"""


class LatencyEstimator:
    """Predicts the time of a batch; sizes within a factor of two share their measurements."""

    def __init__(self) -> None:
        self._seconds: dict[int, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    def clear(self) -> None:
        """Forget every measurement."""
        self._seconds.clear()

    def record(self, size: int, seconds: float) -> None:
        """Record the time of a batch of the given size."""
        self._seconds[size.bit_length()].append(seconds)

    def estimate(self, size: int) -> float:
        """Conservative latency estimate (80th percentile), seconds; 0 before any measurement.

        If only smaller batches were measured, the estimate grows in proportion to the size.
        """
        if not self._seconds:
            return 0.0
        own = size.bit_length()
        larger = [measured for measured in self._seconds if measured >= own]
        nearest = min(larger) if larger else max(self._seconds)
        seconds = sorted(self._seconds[nearest])
        return seconds[int(QUANTILE * (len(seconds) - 1))] * 2.0 ** max(own - nearest, 0)


@dataclass(frozen=True, kw_only=True)
class Latencies:
    """Estimators for the steps that a short deadline skips; item changes do not reset them."""

    ranking: LatencyEstimator = field(default_factory=LatencyEstimator)
    """Size: items to rank"""
    history_reasons: LatencyEstimator = field(default_factory=LatencyEstimator)
    """Size: items of the answer times items of the history"""
    text_reasons: LatencyEstimator = field(default_factory=LatencyEstimator)
    """Size: items to explain"""
