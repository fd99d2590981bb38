"""Items that changed since a release was built, in one consistent state."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset.append_only import BLOCK, AppendOnlyArray
from index.filters.attributes import Attributes
from index.filters.item_values import ItemValues, Values
from index.live_index import LiveIndex
from shortlist_client.api.item import Item

logger = logging.getLogger(__name__)


class LiveItems:
    """The index after some changes, with the fields of the added items.

    A change makes a new `LiveItems`; readers of the old one are not disturbed.
    """

    def __init__(self, index: LiveIndex, attributes: Attributes, state_bytes: int) -> None:
        """Start with an index without added items.

        Args:
            index: Index of the release.
            attributes: Attributes of the release.
            state_bytes: Size of the ranker's state of an item, bytes.
        """
        self.index, self.states = index, AppendOnlyArray((state_bytes,), np.int8)
        self._base, self._attributes = len(index), attributes
        # Successors share these three and only append: rows beyond the index belong to successors.
        self._items: list[Item] = []
        self._held: list[ItemValues] = []
        self._rows: dict[str, list[int]] = {}

    @property
    def values(self) -> Sequence[ItemValues]:
        """Attribute values of every added row; may end with rows beyond the index."""
        return self._held

    def item(self, row: int) -> Item:
        """Item of an added row."""
        return self._items[row - self._base]

    def row(self, item_id: str) -> int | None:
        """Newest added row of an item, hidden or not; None if there is none."""
        rows = self._rows.get(item_id, ())
        return next((row for row in reversed(rows) if row < len(self.index)), None)

    def changed(
        self,
        items: list[Item],
        vectors: NDArray[np.float32],
        states: NDArray[np.int8],
        *,
        origins: NDArray[np.int64],
        hidden: NDArray[np.int64],
    ) -> "LiveItems":
        """The items after one change. Call only on the newest `LiveItems`, from one writer.

        Args:
            items: Items to add.
            vectors: (items, dimension) embeddings.
            states: (items, bytes) quantised states of the ranker.
            origins: (items,) rows of the same items in the release, -1 for items not in it.
            hidden: Rows to hide from later searches.

        Raises:
            ValueError: the vectors are invalid or a row to hide does not exist.
        """
        first = len(self.index)
        after = self._sharing(self.index.changed(vectors, origins, hidden=hidden))
        after.states = self.states.appended(states)
        del self._items[first - self._base :], self._held[first - self._base :]
        self._items.extend(items)
        self._held.extend(_all_fitting(items, self._attributes))
        for row, item in enumerate(items, first):
            self._rows.setdefault(item.item_id, []).append(row)
        wasted = after.index.hidden_added
        return after._compacted() if wasted > BLOCK + len(after.index.added) // 2 else after

    def _sharing(self, index: LiveIndex) -> "LiveItems":
        after = LiveItems(index, self._attributes, 0)
        after._base, after._rows = self._base, self._rows
        after._items, after._held = self._items, self._held
        return after

    def _compacted(self) -> "LiveItems":
        """The same items without hidden added rows; renumbers the other added rows."""
        index, rows = self.index.compacted()
        after = LiveItems(index, self._attributes, self.states.shape[1])
        after._base = self._base
        after.states = after.states.appended(self.states[rows - self._base])
        after._items = [self.item(row) for row in rows.tolist()]
        after._held = [self._held[row - self._base] for row in rows.tolist()]
        after._rows = {item.item_id: [row] for row, item in enumerate(after._items, self._base)}
        return after


def described(item: Item, attributes: Attributes) -> Mapping[str, Any]:
    """Values for filters: the item's attributes, and its texts that are keywords in the release."""
    keywords = {n: text for n, text in item.texts.items() if attributes.kinds.get(n) == "keyword"}
    return {**keywords, **item.attributes}


def fitting(item: Item, attributes: Attributes) -> ItemValues:
    """Item values that fit the release's attributes; drops those that an older release had."""
    held: dict[str, Values] = {}
    for name, value in described(item, attributes).items():
        with suppress(ValueError):
            held |= attributes.item_values({name: value})
    return held


def _all_fitting(items: Sequence[Item], attributes: Attributes) -> list[ItemValues]:
    """Item values of items; logs a warning if some do not fit the release."""
    found = [fitting(item, attributes) for item in items]
    given = sum(len(described(item, attributes)) for item in items)
    if dropped := given - sum(map(len, found)):
        logger.warning("%d attributes of changed items do not fit the release", dropped)
    return found
