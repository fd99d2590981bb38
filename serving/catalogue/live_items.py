"""Items that changed since a release was built, in one consistent state."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset.append_only import BLOCK, AppendOnlyArray
from index.filters.attributes import Attributes
from index.filters.item_values import ItemValues, Values
from index.lexical.lexical import Lexical
from index.live_index import LiveIndex
from index.vector_store import VectorStore
from shortlist_client.api.item import Item

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class LiveItems:
    """The index after some changes, with the fields of the added items.

    A change makes a new `LiveItems`; readers of the old one are not disturbed.
    """

    index: LiveIndex
    """Index after the changes"""
    attributes: Attributes
    """Attributes of the release"""
    states: AppendOnlyArray[np.int8]
    """(added rows, bytes) quantised states of the ranker"""
    lexical: Lexical | None = None
    """Words of all items, if searches recall by them"""
    # Successors share these four and only append: rows beyond the index belong to successors.
    items: list[Item] = field(default_factory=list)
    """Item of every added row"""
    texts: list[str] = field(default_factory=list)
    """Rendered text of every added row"""
    values: list[ItemValues] = field(default_factory=list)
    """Item values of every added row"""
    rows: dict[str, list[int]] = field(default_factory=dict)
    """Added rows of every changed item by id, ascending"""

    @classmethod
    def of(
        cls,
        base: VectorStore,
        attributes: Attributes,
        state_bytes: int,
        lexical: Lexical | None = None,
    ) -> "LiveItems":
        """Start without changes.

        Args:
            base: Index of the release.
            attributes: Attributes of the release.
            state_bytes: Size of the ranker's state of an item, bytes.
            lexical: Words of the release's items.
        """
        states = AppendOnlyArray((state_bytes,), np.int8)
        return cls(index=LiveIndex.of(base), attributes=attributes, states=states, lexical=lexical)

    def item(self, row: int) -> Item:
        """Item of an added row."""
        return self.items[row - self.index.built]

    def row(self, item_id: str) -> int | None:
        """Newest added row of an item, hidden or not; None if there is none."""
        rows = self.rows.get(item_id, ())
        return next((row for row in reversed(rows) if row < len(self.index)), None)

    def changed(
        self,
        items: list[Item],
        vectors: NDArray[np.float32],
        states: NDArray[np.int8],
        *,
        texts: Sequence[str],
        origins: NDArray[np.int64],
        hidden: NDArray[np.int64],
    ) -> "LiveItems":
        """The items after one change. Call only on the newest `LiveItems`, from one writer.

        Args:
            items: Items to add.
            vectors: (items, dimension) embeddings.
            states: (items, bytes) quantised states of the ranker.
            texts: Rendered texts of the items.
            origins: (items,) rows of the same items in the release, -1 for items not in it.
            hidden: Rows to hide from later searches.

        Raises:
            ValueError: the vectors are invalid or a row to hide does not exist.
        """
        first = len(self.index)
        after = replace(
            self,
            index=self.index.changed(vectors, origins, hidden=hidden),
            states=self.states.appended(states),
            lexical=None if self.lexical is None else self.lexical.with_added(texts),
        )
        place = first - self.index.built
        del self.items[place:], self.texts[place:], self.values[place:]
        self.items.extend(items)
        self.texts.extend(texts)
        self.values.extend(_all_fitting(items, self.attributes))
        for row, item in enumerate(items, first):
            self.rows.setdefault(item.item_id, []).append(row)
        wasted = after.index.hidden_added
        return after._renumbered() if wasted > BLOCK + len(after.index.added) // 2 else after

    def _renumbered(self) -> "LiveItems":
        """The same items without hidden added rows; renumbers the other added rows."""
        index, rows = self.index.renumbered()
        places = rows - index.built
        items = [self.items[place] for place in places.tolist()]
        states = AppendOnlyArray(self.states.shape[1:], np.int8)
        texts, lexical = [self.texts[place] for place in places.tolist()], self.lexical
        return replace(
            self,
            index=index,
            states=states.appended(self.states[places]),
            lexical=None if lexical is None else lexical.without_added().with_added(texts),
            items=items,
            texts=texts,
            values=[self.values[place] for place in places.tolist()],
            rows={item.item_id: [row] for row, item in enumerate(items, index.built)},
        )


def filter_values(item: Item, attributes: Attributes) -> Mapping[str, Any]:
    """Values for filters: the item's attributes, and its texts that are keywords in the release."""
    keywords = {n: text for n, text in item.texts.items() if attributes.kinds.get(n) == "keyword"}
    return {**keywords, **item.attributes}


def fitting(item: Item, attributes: Attributes) -> ItemValues:
    """Item values that fit the release's attributes; drops those that an older release had."""
    values: dict[str, Values] = {}
    for name, value in filter_values(item, attributes).items():
        with suppress(ValueError):
            values |= attributes.item_values({name: value})
    return values


def _all_fitting(items: Sequence[Item], attributes: Attributes) -> list[ItemValues]:
    """Item values of items; logs a warning if some do not fit the release."""
    found = [fitting(item, attributes) for item in items]
    given = sum(len(filter_values(item, attributes)) for item in items)
    if dropped := given - sum(map(len, found)):
        logger.warning("%d attributes of changed items do not fit the release", dropped)
    return found
