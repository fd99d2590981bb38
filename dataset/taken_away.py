"""Purchases that were taken away, as by refunds, counted as of any time."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dataset.timed_keys import TIME_BITS, TIMES, keys_of
from lineage.arrays import read_array

FILE = "demand.taken.npy"
LENGTHS = 16
"""Lengths of windows whose ends are remembered"""
NOTHING = np.empty(0, np.int64)
NOTHING.flags.writeable = False


@dataclass(frozen=True, kw_only=True)
class TakenAway:
    """Purchases that do not count from a time on. Frozen, but remembers the ends of windows.

    A window `[end - length, end)` holds one that was taken away before `end` if `end` is after the
    taking, and at most `length` after the purchase. So sorted keys of the later of these two count
    all windows of a length, as quickly as the purchases themselves are counted.
    """

    keys: NDArray[np.int64] = field(default_factory=lambda: NOTHING)
    """(purchases,) item rows and times of taking away, ascending; may be memory-mapped"""
    bought: NDArray[np.int64] = field(default_factory=lambda: NOTHING)
    """(purchases,) Unix seconds of the purchases themselves"""
    _ends: dict[int, NDArray[np.int64]] = field(default_factory=dict, repr=False)
    """Keys of the last end at which a window holds each purchase, ascending, by its length"""

    def __len__(self) -> int:
        return len(self.keys)

    def with_more(
        self, items: NDArray[np.integer], bought: NDArray[np.int64], taken: NDArray[np.int64]
    ) -> "TakenAway":
        """These purchases and others.

        Args:
            items: (purchases,) item rows.
            bought: (purchases,) Unix seconds of the purchases.
            taken: (purchases,) Unix seconds of taking away, not before `bought`.
        """
        if not len(items):
            return self
        keys = np.concatenate([self.keys, keys_of(items, taken)])
        times = np.concatenate([self.bought, np.maximum(bought, 0)])
        order = np.lexsort((times, keys))
        return TakenAway(keys=keys[order], bought=times[order])

    def between(
        self, items: NDArray[np.integer], starts: NDArray[np.int64], end: int
    ) -> NDArray[np.int64]:
        """(windows, items): purchases in windows [start, end) that were taken away before `end`.

        Args:
            items: (items,) item rows.
            starts: (windows,) Unix seconds at which the windows start; 0 or less for all time.
            end: Unix seconds at which all windows end.
        """
        last = keys_of(items, np.asarray(end))
        taken = np.searchsorted(self.keys, last)
        over = [
            np.searchsorted(self._ends_of(end - start), last)
            if start > 0
            else np.searchsorted(self.keys, np.asarray(items, np.int64) << TIME_BITS)
            for start in starts.tolist()
        ]
        return taken - np.stack(over)

    def _ends_of(self, length: int) -> NDArray[np.int64]:
        ends = self._ends.get(length)
        if ends is None:
            later = np.maximum(self.keys & TIMES, np.minimum(self.bought + length, TIMES))
            ends = np.sort(keys_of(self.keys >> TIME_BITS, later))
            if len(self._ends) >= LENGTHS:
                self._ends.clear()
            self._ends[length] = ends
        return ends

    def save(self, folder: Path) -> None:
        """Write all of them into a folder; nothing if there are none."""
        if len(self):
            np.save(folder / FILE, np.stack([self.keys, self.bought]))

    @classmethod
    def load(cls, folder: Path) -> "TakenAway":
        """Memory-map what `save` wrote."""
        if not (folder / FILE).is_file():
            return cls()
        keys, bought = read_array(folder / FILE)
        return cls(keys=keys, bought=bought)
