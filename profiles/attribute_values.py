"""Values of the items' attributes, numbered: keywords, bands of numbers, words of titles."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset.arrays import StringColumn
from evaluation.bands import Bands
from profiles.title_words import TitleWords

SMOOTHING = 10.0
"""Purchases that the usual shares of all values count like"""
Bought = tuple[NDArray[np.float64], float]


@dataclass(frozen=True, kw_only=True)
class AttributeValues:
    """Numbered values of one attribute of a release's items."""

    name: str
    values: Sequence[str]
    """Value of each number"""
    offsets: NDArray[np.int64]
    """(items + 1,): item i has `numbers[offsets[i]:offsets[i + 1]]`"""
    numbers: NDArray[np.int32]
    """(pairs,) numbers of the items' values"""
    bands: Bands | None = None
    """Bands whose names the values are; None for keywords and words"""
    separator: str = ""
    """What stands between the parts of a keyword; empty where keywords are whole"""
    words: TitleWords | None = None
    """What finds the value in a title; None for attributes"""

    def of_rows(
        self, rows: NDArray[Any], added: Callable[[int], list[int]] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Values of items: positions among the rows, ascending, and numbers of the values.

        Args:
            rows: Item rows.
            added: Returns the numbers of an item that the release lacks, by its row; such items
                have no value without it.
        """
        items = len(self.offsets) - 1
        built = np.flatnonzero(rows < items)
        of_built = rows[built]
        starts, lengths = self.offsets[of_built], np.diff(self.offsets)[of_built]
        stops = np.cumsum(lengths)
        pairs = np.arange(lengths.sum()) + np.repeat(starts - stops + lengths, lengths)
        places, numbers = np.repeat(built, lengths), self.numbers[pairs].astype(np.int64)
        if added is None or len(built) == len(rows):
            return places, numbers
        new = [(at, n) for at in np.flatnonzero(rows >= items) for n in added(int(rows[at]))]
        places = np.concatenate([places, np.array([at for at, _ in new], np.int64)])
        order = np.argsort(places, kind="stable")
        return places[order], np.concatenate([numbers, np.array([n for _, n in new], np.int64)])[
            order
        ]

    def of_item(self, title: str, values: Iterable[Any]) -> list[int]:
        """Numbers of the values of an item that was added or changed; unknown ones are left out.

        Args:
            title: Title of the item.
            values: What it has of the attribute: keywords or numbers.
        """
        if self.words is not None:
            kind = self.words.kind(title)
            return [] if kind is None else [kind]
        if self.bands is not None:
            bands: list[int] = self.bands.of_numbers(np.array(list(values), np.float64)).tolist()
            return bands
        parts = [part for value in values for part in self._parts(value)]
        found = (self.values.place(part) for part in parts if isinstance(self.values, StringColumn))
        return sorted({place for place in found if place is not None})

    def _parts(self, value: str) -> list[str]:
        return value.split(self.separator) if self.separator else [value]

    @cached_property
    def several(self) -> bool:
        """Whether an item may have several values."""
        return bool((np.diff(self.offsets) > 1).any())

    def popularity(
        self, purchases: NDArray[np.float64], among: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """(values,): share of each value in the purchases of items that have any.

        An item with several values counts for each of them.

        Args:
            purchases: (items,) purchases.
            among: (values,) shares that count like `SMOOTHING` purchases; None for equal ones.
        """
        bought, total = self.bought(np.arange(len(purchases)), purchases)
        usual = np.full(len(self.values), 1 / len(self.values)) if among is None else among
        shares: NDArray[np.float64] = (bought + SMOOTHING * usual) / (total + SMOOTHING)
        return shares

    def left(
        self, purchases: NDArray[np.float64], bought: "Bought", excluded: NDArray[Any]
    ) -> NDArray[np.float64]:
        """(values,): `popularity` without some items.

        Args:
            purchases: (items,) purchases.
            bought: What `bought` returns for all items.
            excluded: Item rows that do not count; those that the release lacks are ignored.
        """
        rows = np.unique(excluded[excluded < len(purchases)])
        without, fewer = self.bought(rows, purchases[rows])
        (of_values, total), usual = bought, SMOOTHING / len(self.values)
        shares: NDArray[np.float64] = (of_values - without + usual) / (total - fewer + SMOOTHING)
        return shares

    def bought(self, rows: NDArray[Any], purchases: NDArray[np.float64]) -> "Bought":
        """Purchases of each value, (values,), and of all items that have any, among some items.

        Args:
            rows: Item rows of the release, distinct.
            purchases: (rows,) their purchases.
        """
        places, numbers = self.of_rows(rows)
        bought = np.bincount(numbers, purchases[places], minlength=len(self.values))
        return bought.astype(np.float64), float(purchases[np.unique(places)].sum())


def target_shares(
    attribute: AttributeValues, items: NDArray[np.int32]
) -> NDArray[np.float64] | None:
    """(values,): share of the next items that have each value; None if none has any.

    Items without a value do not count.
    """
    places, numbers = attribute.of_rows(items)
    having = len(np.unique(places))
    return np.bincount(numbers, minlength=len(attribute.values)) / having if having else None
