"""What sells best: as of now where purchases have times, else of all time."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from dataset.demand import Demand
from dataset.interaction_codes import DAY
from evaluation.baselines import popularity_rank
from retrieval.feature_context import learnt_popularity

WINDOW = 14
"""Days before now whose purchases make a best seller"""


@dataclass(frozen=True, kw_only=True)
class Sales:
    """Purchases of the release's items. Frozen, but remembers the order of the last hour asked."""

    popularity: NDArray[np.float64]
    """(items,) weighted users in training"""
    demand: Demand | None = None
    """Purchases by time; None where interactions have no times"""
    _orders: dict[int | None, NDArray[np.int32]] = field(default_factory=dict, repr=False)
    """The best sellers as of the last time asked"""

    def with_demand(self, demand: Demand) -> "Sales":
        """The sales with other purchases by time."""
        return replace(self, demand=demand, _orders={})

    def counts(self, origins: NDArray[np.int64], now: int | None) -> NDArray[np.float64]:
        """(items,) purchases in the `WINDOW` days before now; without times, learnt popularity.

        Args:
            origins: (items,) the release's rows; other rows have none.
            now: Unix seconds; None where interactions have no times.
        """
        if self.demand is None or now is None:
            return learnt_popularity(self.popularity, origins)
        return self.demand.between(origins, now - WINDOW * DAY, now).astype(np.float64)

    def best_first(self, now: int | None) -> NDArray[np.int32]:
        """(items,) the release's rows, best-selling first; ties by all purchases, then at random.

        Sorts all items when it is asked for another time than before.
        """
        if now not in self._orders:
            rows = np.arange(len(self.popularity))
            ranks = popularity_rank(self.popularity)
            order = np.lexsort((-ranks, -self.counts(rows, now))).astype(np.int32)
            self._orders.clear()
            self._orders[now] = order
        return self._orders[now]
