"""Predicts how long work will take, from recent work of about the same size."""

from collections import defaultdict, deque
from dataclasses import dataclass, field

REMEMBERED = 16
"""Measurements kept for each class of sizes"""
QUANTILE = 0.8
"""Quantile of the measurements that an estimate is"""


class LatencyEstimator:
    """Estimates conservatively; sizes within a factor of two share their measurements."""

    def __init__(self) -> None:
        self._seconds: dict[int, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    def clear(self) -> None:
        """Forget every measurement."""
        self._seconds.clear()

    def record(self, size: int, seconds: float) -> None:
        """Remember how long work of a size took."""
        self._seconds[size.bit_length()].append(seconds)

    def estimate(self, size: int) -> float:
        """Conservative latency estimate (80th percentile), seconds; 0 before any measurement.

        Where only smaller work was measured, time grows in proportion to size.
        """
        if not self._seconds:
            return 0.0
        own = size.bit_length()
        larger = [known for known in self._seconds if known >= own]
        nearest = min(larger) if larger else max(self._seconds)
        seconds = sorted(self._seconds[nearest])
        return seconds[int(QUANTILE * (len(seconds) - 1))] * 2.0 ** max(own - nearest, 0)


@dataclass(frozen=True, kw_only=True)
class Latencies:
    """Estimators of the steps that a deadline may leave out; they outlive item changes."""

    ranking: LatencyEstimator = field(default_factory=LatencyEstimator)
    """By the number of items to rank"""
    history_reasons: LatencyEstimator = field(default_factory=LatencyEstimator)
    """By items of the answer times items of the history"""
    text_reasons: LatencyEstimator = field(default_factory=LatencyEstimator)
    """By the number of items to explain"""
