"""Demand: how often items were bought in any window of time."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dataset.interaction_codes import DAY
from dataset.taken_away import TakenAway
from dataset.timed_keys import TIME_BITS, TIMES, keys_of
from lineage.arrays import read_array

FILE = "demand.npy"
NOTHING = np.empty(0, np.int64)
NOTHING.flags.writeable = False


@dataclass(frozen=True, kw_only=True)
class Demand:
    """Purchases by item and time, as sorted keys: item row in the high bits, time in the low ones.

    The number of purchases of an item in a window is the distance of two keys. Nothing is kept by
    day, so any window up to any second costs the same. A purchase that was taken away counts up to
    that time and not after it. Frozen; later purchases make another one.
    """

    keys: NDArray[np.int64]
    """(purchases,) keys, ascending; may be memory-mapped"""
    newest: int
    """Unix seconds of the newest purchase, 0 without any"""
    added: NDArray[np.int64] = field(default_factory=lambda: NOTHING)
    """(later purchases,) keys of the purchases that were added since, ascending; few"""
    taken: TakenAway = field(default_factory=TakenAway)
    """Those of both that were taken away"""

    @classmethod
    def of(
        cls,
        items: NDArray[np.integer],
        times: NDArray[np.int64],
        taken: NDArray[np.int64] | None = None,
    ) -> "Demand":
        """Count purchases.

        Args:
            items: (purchases,) item rows.
            times: (purchases,) Unix seconds; before 1970 count as 1970.
            taken: (purchases,) Unix seconds since which they do not count, negative for those that
                stand; by default all stand.
        """
        return cls(
            keys=np.sort(keys_of(items, times)),
            newest=int(times.max(initial=0)),
            taken=_taken(TakenAway(), items, times, taken),
        )

    def with_events(
        self,
        items: NDArray[np.integer],
        times: NDArray[np.int64],
        taken: NDArray[np.int64] | None = None,
    ) -> "Demand":
        """The demand with later purchases, which are kept apart from the memory-mapped ones.

        Args:
            items: (purchases,) item rows.
            times: (purchases,) Unix seconds.
            taken: (purchases,) as in `of`.
        """
        return replace(
            self,
            added=np.sort(np.concatenate([self.added, keys_of(items, times)])),
            newest=max(self.newest, int(times.max(initial=0))),
            taken=_taken(self.taken, items, times, taken),
        )

    def with_taken(
        self, items: NDArray[np.integer], bought: NDArray[np.int64], taken: NDArray[np.int64]
    ) -> "Demand":
        """The demand without some of its purchases since a time, as `TakenAway.with_more`."""
        return replace(self, taken=self.taken.with_more(items, bought, taken))

    def between(
        self, items: NDArray[np.integer], start: int | NDArray[np.int64], end: int
    ) -> NDArray[np.int64]:
        """Number of purchases of items in the windows [start, end) that stand at the end.

        Args:
            items: (items,) item rows; rows that nobody bought are 0.
            start: Unix seconds at which the windows start, one or (windows, 1).
            end: Unix seconds at which all windows end; purchases in this second do not count.

        Returns:
            (items,) or (windows, items).
        """
        first, last = keys_of(items, np.asarray(start)), keys_of(items, np.asarray(end))
        counts: NDArray[np.int64] = sum(
            np.searchsorted(keys, last) - np.searchsorted(keys, first)
            for keys in (self.keys, self.added)
            if len(keys)
        ) + np.zeros(first.shape, np.int64)
        if len(self.taken):
            starts = np.asarray(start).reshape(-1)
            counts -= self.taken.between(items, starts, end).reshape(first.shape)
        return counts

    def windows(
        self, items: NDArray[np.integer], days: tuple[int, ...], now: int
    ) -> NDArray[np.int64]:
        """(windows + 1, items): purchases in the last days before now, last all before now.

        Args:
            items: (items,) item rows.
            days: Lengths of the windows in days.
            now: Unix seconds; purchases in this second do not count.
        """
        starts = [max(now - length * DAY, 0) for length in days]
        return self.between(items, np.array([*starts, 0])[:, None], now)

    def first_times(self, items: NDArray[np.integer]) -> NDArray[np.int64]:
        """(items,) Unix seconds of each item's first purchase; -1 for an item without any.

        One that was taken away is a purchase, too: the item was in the shop.
        """
        firsts = np.full(len(items), -1, np.int64)
        rows = np.asarray(items, np.int64)
        for keys in (self.added, self.keys):
            if not len(keys):
                continue
            found = keys[np.minimum(np.searchsorted(keys, rows << TIME_BITS), len(keys) - 1)]
            theirs, time = found >> TIME_BITS == rows, found & TIMES
            firsts = np.where(theirs & ((firsts < 0) | (time < firsts)), time, firsts)
        return firsts

    def save(self, folder: Path) -> None:
        """Write all purchases into a folder."""
        np.save(folder / FILE, np.sort(np.concatenate([self.keys, self.added])))
        self.taken.save(folder)

    @classmethod
    def load(cls, folder: Path) -> "Demand | None":
        """Memory-map what `save` wrote; None if there is none, as for data without times."""
        if not (folder / FILE).is_file():
            return None
        keys = read_array(folder / FILE)
        rows = np.arange(1 + (int(keys[-1]) >> TIME_BITS if len(keys) else -1))
        last = np.searchsorted(keys, (rows + 1) << TIME_BITS) - 1  # an item's newest purchase
        newest = int((keys[last[last >= 0]] & TIMES).max(initial=0))
        return cls(keys=keys, newest=newest, taken=TakenAway.load(folder))


def _taken(
    known: TakenAway,
    items: NDArray[np.integer],
    times: NDArray[np.int64],
    taken: NDArray[np.int64] | None,
) -> TakenAway:
    if taken is None:
        return known
    gone = taken >= 0
    return known.with_more(np.asarray(items)[gone], times[gone], taken[gone])
