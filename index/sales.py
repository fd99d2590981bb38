"""What sells best: as of now where purchases have times, else of all time."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dataset.demand import Demand
from dataset.interaction_codes import DAY
from dataset.timed_keys import TIMES
from evaluation.baselines import popularity_rank

WINDOW = 14
"""Days before now whose purchases make a best seller, unless others were chosen"""
HEAD = 1_000
"""Best sellers that are remembered of an hour"""
HOURS = 512
"""Hours whose best sellers are remembered"""


@dataclass(frozen=True, kw_only=True)
class Sales:
    """Purchases of items by their rows in the counts, see `index.count_rows`.

    Frozen, but remembers the orders of hours asked before.
    """

    popularity: NDArray[np.float64]
    """(items,) purchases of all time, which order items of equal counts"""
    added: NDArray[np.int64] | None = None
    """(items,) Unix seconds at which the shop added each item, the latest first among items of
    equal counts; None for an order at random"""
    demand: Demand | None = None
    """Purchases by time; None where interactions have no times"""
    window: int = WINDOW
    """Days before now that count"""
    new: int = 0
    """Items that the release lacks, but the demand counts"""
    _orders: dict[int | None, tuple[NDArray[np.int32], int]] = field(
        default_factory=dict, repr=False
    )
    """All items, best-selling first, and how many of them were sold, as of the last time asked"""
    _heads: dict[int, NDArray[np.int32]] = field(default_factory=dict, repr=False)
    """The first of the items sold, by hour"""

    @classmethod
    def of(cls, demand: Demand, items: int, *, window: int = WINDOW) -> "Sales":
        """Sales by time alone; all purchases order items of equal counts.

        Args:
            demand: Purchases by time.
            items: Number of items of the release.
            window: Days before now that count.
        """
        everything = demand.between(np.arange(items), 0, TIMES)
        return cls(popularity=everything.astype(np.float64), demand=demand, window=window)

    def with_demand(self, demand: Demand, new: int = 0) -> "Sales":
        """The sales with other purchases by time, also of `new` items that the release lacks."""
        return replace(self, demand=demand, new=new, _orders={}, _heads={})

    def with_window(self, window: int) -> "Sales":
        """The sales in another window."""
        return replace(self, window=window, _orders={}, _heads={})

    def counts(self, origins: NDArray[np.integer], now: int | None) -> NDArray[np.float64]:
        """(items,) purchases in the window before now; without times, learnt popularity.

        Args:
            origins: (items,) rows in the counts; other rows have none.
            now: Unix seconds; None where interactions have no times.
        """
        if self.demand is None or now is None:
            return learnt_popularity(self.popularity, origins)
        return self.demand.between(origins, now - self.window * DAY, now).astype(np.float64)

    def best_first(self, now: int | None) -> NDArray[np.int32]:
        """(items,) all rows, best-selling first; ties by all purchases, by time, then at random.

        Sorts all items when it is asked for another time than before.
        """
        return self._order(now)[0]

    def sold(self, now: int, start: int, stop: int) -> NDArray[np.int32]:
        """Places `[start, stop)` of the rows that were sold in the window, best first.

        Fewer come back if fewer were sold. The best of many hours are remembered.
        """
        if stop > HEAD:
            order, sold = self._order(now)
            return order[start : min(stop, sold)]
        if now not in self._heads:
            order, sold = self._order(now)
            if len(self._heads) >= HOURS:
                self._heads.pop(next(iter(self._heads)))
            self._heads[now] = order[: min(HEAD, sold)].copy()
        return self._heads[now][start:stop]

    @cached_property
    def _by_popularity(self) -> NDArray[np.int64]:
        ranks = popularity_rank(self.popularity)
        if self.added is None:
            return np.argsort(-ranks)
        return np.lexsort((-ranks, -self.added, -self.popularity))

    def newest_first(self, now: int | None) -> bool:
        """Whether nothing was sold, and the items are in the order of their times."""
        return self.added is not None and not self.popularity.any() and not self._order(now)[1]

    def _order(self, now: int | None) -> tuple[NDArray[np.int32], int]:
        if now not in self._orders:
            built = len(self.popularity)
            order = np.append(self._by_popularity, np.arange(built, built + self.new))
            counts = self.counts(np.arange(len(order)), now)[order]
            bought = np.flatnonzero(counts)
            best = bought[np.argsort(-counts[bought], kind="stable")]
            rows = order[np.concatenate([best, np.flatnonzero(counts == 0)])]
            self._orders.clear()
            self._orders[now] = rows.astype(np.int32), len(bought)
        return self._orders[now]


def learnt_popularity(
    popularity: NDArray[np.float64], rows: NDArray[np.integer]
) -> NDArray[np.float64]:
    """(rows,) popularity of each item; 0 for items newer than the release."""
    known = rows < len(popularity)
    counts: NDArray[np.float64] = np.where(known, popularity[np.where(known, rows, 0)], 0)
    return counts
