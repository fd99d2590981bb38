"""Items that changed since a release was built, as of one moment."""

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
    """The index after some changes, and what is known of the items that were added to it.

    A change makes another one; whoever reads this one goes on undisturbed.
    """

    def __init__(self, index: LiveIndex, attributes: Attributes, state_bytes: int) -> None:
        """Begin with an index that nothing was added to.

        Args:
            index: Of the release.
            attributes: Of the release.
            state_bytes: Of what the ranker keeps of an item.
        """
        self.index, self.states = index, AppendOnlyArray((state_bytes,), np.int8)
        self._base, self._attributes = len(index), attributes
        # Later ones share both and only add; rows beyond the index are not of this moment.
        self._items: list[Item] = []
        self._held: list[ItemValues] = []
        self._rows: dict[str, list[int]] = {}

    @property
    def values(self) -> Sequence[ItemValues]:
        """Attribute values of every added row; may go on with rows that the index lacks."""
        return self._held

    def item(self, row: int) -> Item:
        """What an added row holds."""
        return self._items[row - self._base]

    def row(self, item_id: str) -> int | None:
        """Newest row that was added for an item, hidden or not; None where none was."""
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
        """The items after one change; only the newest may be changed, by one writer.

        Args:
            items: What is added.
            vectors: (items, dimension) their embeddings.
            states: (items, bytes) what the ranker keeps of them.
            origins: (items,) rows of the same items in the release, -1 where it lacks them.
            hidden: Rows that are not to be found again.

        Raises:
            ValueError: the vectors are unfit or a row to hide is not there.
        """
        first = len(self.index)
        after = self._sharing(self.index.changed(vectors, origins, hidden=hidden))
        after.states = self.states.appended(states)
        del self._items[first - self._base :], self._held[first - self._base :]
        self._items.extend(items)
        self._held.extend(_all_held(items, self._attributes))
        for row, item in enumerate(items, first):
            self._rows.setdefault(item.item_id, []).append(row)
        useless = after.index.hidden_added
        return after._compacted() if useless > BLOCK + len(after.index.added) // 2 else after

    def _sharing(self, index: LiveIndex) -> "LiveItems":
        after = LiveItems(index, self._attributes, 0)
        after._base, after._rows = self._base, self._rows
        after._items, after._held = self._items, self._held
        return after

    def _compacted(self) -> "LiveItems":
        """The same without hidden added rows; the others are numbered anew."""
        index, rows = self.index.compacted()
        after = LiveItems(index, self._attributes, self.states.shape[1])
        after._base = self._base
        after.states = after.states.appended(self.states[rows - self._base])
        after._items = [self.item(row) for row in rows.tolist()]
        after._held = [self._held[row - self._base] for row in rows.tolist()]
        after._rows = {item.item_id: [row] for row, item in enumerate(after._items, self._base)}
        return after


def described(item: Item, attributes: Attributes) -> Mapping[str, Any]:
    """What filters can look at: its attributes, and its texts that are keywords in the release."""
    keywords = {n: text for n, text in item.texts.items() if attributes.kinds.get(n) == "keyword"}
    return {**keywords, **item.attributes}


def fitting(item: Item, attributes: Attributes) -> ItemValues:
    """What filters find of it; without what was written when a release had other attributes."""
    held: dict[str, Values] = {}
    for name, value in described(item, attributes).items():
        with suppress(ValueError):
            held |= attributes.held({name: value})
    return held


def _all_held(items: Sequence[Item], attributes: Attributes) -> list[ItemValues]:
    """What items have, and a warning of what does not fit."""
    found = [fitting(item, attributes) for item in items]
    told = sum(len(described(item, attributes)) for item in items)
    if dropped := told - sum(map(len, found)):
        logger.warning("%d attributes of changed items do not fit the release", dropped)
    return found
