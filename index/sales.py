"""What sells best: as of now where purchases have times, else of all time."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset.demand import Demand
from dataset.interaction_codes import DAY

WINDOW = 14
"""Days before now whose purchases make a best seller, unless others were chosen"""
HEAD = 1_000
"""Best sellers that are remembered of an hour"""
HOURS = 1024
"""Hours whose best sellers are remembered"""


@dataclass(frozen=True, kw_only=True)
class Sales:
    """Purchases of items by their rows in the counts, see `index.count_rows`.

    Frozen, but remembers the orders of hours asked before.
    """

    popularity: NDArray[np.float64]
    """(items,) learnt popularity, which counts where interactions have no times"""
    added: NDArray[np.int64] | None = None
    """(items,) Unix seconds at which the shop added each item, the latest first among items of
    equal counts; None for an order at random"""
    demand: Demand | None = None
    """Purchases by time; None where interactions have no times"""
    window: int = WINDOW
    """Days before now that count"""
    new: int = 0
    """Items that the release lacks, but the demand counts"""
    _orders: dict[int | None, NDArray[np.int32]] = field(default_factory=dict, repr=False)
    """All items, best-selling first, as of the last time asked"""
    _last: dict[int | None, NDArray[np.int32]] = field(default_factory=dict, repr=False)
    """The items sold, as of the last time asked"""
    _heads: dict[int, NDArray[np.int32]] = field(default_factory=dict, repr=False)
    """The first of the items sold, by hour"""
    _by_window: dict[int, "Sales"] = field(default_factory=dict, repr=False)
    """The sales in every window asked for, shared by all of them"""

    @classmethod
    def of(cls, demand: Demand, items: int, *, window: int = WINDOW) -> "Sales":
        """Sales by time alone.

        Args:
            demand: Purchases by time.
            items: Number of items of the release.
            window: Days before now that count.
        """
        return cls(popularity=np.zeros(items), demand=demand, window=window)

    def with_demand(self, demand: Demand, new: int = 0) -> "Sales":
        """The sales with other purchases by time, also of `new` items that the release lacks."""
        nothing: dict[str, Any] = {"_orders": {}, "_last": {}, "_heads": {}, "_by_window": {}}
        return replace(self, demand=demand, new=new, **nothing)

    def with_window(self, window: int) -> "Sales":
        """The sales in another window; the same object when it is asked for again."""
        self._by_window.setdefault(self.window, self)
        if window not in self._by_window:
            other = replace(self, window=window, _orders={}, _last={}, _heads={})
            self._by_window[window] = other
        return self._by_window[window]

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
        """(items,) the release's rows, best-selling first.

        Ties are by all purchases before now, never by later ones, then by the time at which the
        shop added the items, if known, then at random. Sorts all items when it is asked for another
        time than before.
        """
        if now not in self._orders:
            items = np.arange(self._rows)
            counts = self.counts(items, now)
            others = self._sorted(np.flatnonzero(counts <= 0), counts, now)
            order = np.concatenate([self._sold(now), others])
            self._orders.clear()
            self._orders[now] = order
        return self._orders[now]

    def sold(self, now: int, start: int, stop: int) -> NDArray[np.int32]:
        """Places `[start, stop)` of the rows that were sold in the window, best first.

        Fewer come back if fewer were sold. The best of many hours are remembered.
        """
        if stop > HEAD:
            return self._sold(now)[start:stop]
        if now not in self._heads:
            head = self._sold(now)[:HEAD].copy()
            if len(self._heads) >= HOURS:
                self._heads.pop(next(iter(self._heads)))
            self._heads[now] = head
        return self._heads[now][start:stop]

    @cached_property
    def _at_random(self) -> NDArray[np.int64]:
        """(rows,) places in a random order, those of new items last."""
        built = len(self.popularity)
        order = np.random.default_rng(0).permutation(built)
        return np.append(order, np.arange(built, self._rows))

    def newest_first(self, now: int | None) -> bool:
        """Whether nothing was sold, and the items are in the order of their times."""
        return self.added is not None and not self.popularity.any() and not len(self._sold(now))

    @property
    def _rows(self) -> int:
        """Rows of the release and of new items."""
        return len(self.popularity) + self.new

    def _sold(self, now: int | None) -> NDArray[np.int32]:
        """(sold items,) rows that were sold in the window, best first; of the last time asked."""
        if now not in self._last:
            counts = self.counts(np.arange(self._rows), now)
            rows = self._sorted(np.flatnonzero(counts > 0), counts, now)
            self._last.clear()
            self._last[now] = rows
        return self._last[now]

    def _sorted(
        self, rows: NDArray[np.int64], counts: NDArray[np.float64], now: int | None
    ) -> NDArray[np.int32]:
        """The rows by descending counts, with ties as in `best_first`."""
        keys = [self._at_random[rows], -counts[rows]]
        if self.demand is not None and now is not None:
            keys.insert(1, -self.demand.between(rows, 0, now))
        if self.added is not None:
            keys.insert(1, -np.append(self.added, np.zeros(self.new, np.int64))[rows])
        return rows[np.lexsort(keys)].astype(np.int32)


def learnt_popularity(
    popularity: NDArray[np.float64], rows: NDArray[np.integer]
) -> NDArray[np.float64]:
    """(rows,) popularity of each item; 0 for items newer than the release."""
    known = rows < len(popularity)
    counts: NDArray[np.float64] = np.where(known, popularity[np.where(known, rows, 0)], 0)
    return counts
