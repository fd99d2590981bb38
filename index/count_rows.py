"""Rows of items in counts: sales, neighbour lists and demand know items that were added since."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.live_index import LiveIndex

NOBODY = np.empty(0, np.int64)
NOBODY.flags.writeable = False


@dataclass(frozen=True, kw_only=True, eq=False)
class CountRows:
    """Translates rows of an index to rows of the counts, and back.

    An item of the release has the same row in both, under which changes of it are found, too. The
    items that were added and counted since follow, in an order that does not depend on when a
    server read of them.
    """

    index: LiveIndex
    """Index whose rows are translated"""
    numbers: NDArray[np.int64] = field(default_factory=lambda: NOBODY)
    """(added rows,) number of each one's counted new item, from 0; -1 for all others. Empty if no
    new item was counted"""
    new: int = 0
    """Counted new items"""

    @classmethod
    def of(cls, index: LiveIndex, added: Sequence[Sequence[int]]) -> "CountRows":
        """Rows of an index.

        Args:
            index: The index.
            added: Added rows of each counted new item; others than the index has are ignored.
        """
        numbers = np.full(len(index) - index.built, -1)
        for number, rows in enumerate(added):
            numbers[[row - index.built for row in rows if row < len(index)]] = number
        return cls(index=index, numbers=numbers, new=len(added)) if added else cls(index=index)

    def __call__(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Rows in the counts; for an item that was not counted, a row beyond them."""
        found = self.index.origins(rows)
        if not self.new:
            return found
        built, found = self.index.built, found.astype(np.int64)
        is_new = found >= built
        numbers = self.numbers[found[is_new] - built]
        found[is_new] = built + np.where(numbers < 0, self.new, numbers)
        return found

    def current(self, counted: NDArray[Any]) -> NDArray[Any]:
        """Current rows of the items at some rows of the counts; -1 for deleted items."""
        is_new = counted >= self.index.built
        if not is_new.any():
            return self.index.current(counted)
        rows = np.full(len(counted), -1, np.int64)
        rows[~is_new] = self.index.current(counted[~is_new])
        rows[is_new] = self._newest[counted[is_new] - self.index.built]
        return rows

    def are_new(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        """Which rows are of new items that were not counted."""
        return self(rows) >= self.index.built + self.new

    @cached_property
    def _newest(self) -> NDArray[np.int64]:
        """(new,) visible row of each counted new item; -1 for one that was deleted."""
        newest, rows = np.full(self.new, -1), self.index.visible_added()
        numbers = self.numbers[rows - self.index.built]
        newest[numbers[numbers >= 0]] = rows[numbers >= 0]
        return newest
