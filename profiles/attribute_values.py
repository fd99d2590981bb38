"""Values of the items' attributes, numbered: keywords, bands of numbers, words of titles."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset.arrays import StringColumn
from dataset.postings import KeywordPostings, OrderedPostings, load_postings
from profiles.bands import Bands
from profiles.title_words import TitleWords

TITLE_WORD = "title word"
"""Name of the attribute that stands for a missing keyword attribute"""
MOST_ATTRIBUTES = 16
FEWEST_ITEMS = 2
"""Items that a value must have on average; otherwise the attribute names single items"""
SMOOTHING = 10.0
"""Purchases that the usual shares of all values count like"""
SEPARATORS = ("|", ", ", ";", " ")
"""What may stand between the parts of a keyword"""
Bought = tuple[NDArray[np.float64], float]
Parts = tuple[str, list[str], list[NDArray[np.int64]]]
MOSTLY = 0.8
"""Share of the parts that must be keywords"""


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


def load_values(folder: Path, titles: Sequence[str], words: TitleWords) -> list[AttributeValues]:
    """The attributes of a finished data stage that tell items apart, keywords first.

    Keywords that single items have, times and booleans are left out. Without any keyword, the
    words of the titles that name kinds come first.

    Args:
        folder: Folder of the data stage.
        titles: Titles of the items.
        words: Words of the titles.
    """
    keywords, numbers = list[AttributeValues](), list[AttributeValues]()
    for name, (kind, postings) in load_postings(folder).items():
        if kind == "keyword" and isinstance(postings, KeywordPostings):
            keywords += _of_keywords(name, postings, len(titles))
        elif kind == "number" and isinstance(postings, OrderedPostings):
            numbers += _of_numbers(name, postings, len(titles))
    if not keywords:
        keywords = _of_titles(titles, words)
    return [*keywords, *numbers][:MOST_ATTRIBUTES]


def _of_keywords(name: str, postings: KeywordPostings, items: int) -> list[AttributeValues]:
    if not 2 <= len(postings.values) <= items // FEWEST_ITEMS:
        return []
    places, numbers = postings.values_of(np.arange(items))
    if len(numbers) < FEWEST_ITEMS * len(postings.values):
        return []
    if (parts := parts_of(list(postings.values))) is not None:
        separator, values, of_value = parts
        counts = np.array([len(of_value[number]) for number in numbers.tolist()], np.int64)
        places = np.repeat(places, counts)
        numbers = np.concatenate([of_value[number] for number in numbers.tolist()])
        made = _numbered(name, StringColumn.of(values), places, numbers, items)
        return [replace(made, separator=separator)]
    return [_numbered(name, postings.values, places, numbers, items)]


def parts_of(values: Sequence[str]) -> Parts | None:
    """Parts of keywords that are lists in one string, such as `Comedy Drama` or `red|blue`.

    Keywords are such lists if their parts are few, a third of the keywords at most, and most parts
    are keywords, too.

    Args:
        values: Keywords, distinct.

    Returns:
        What separates the parts, the parts, ascending, and the numbers of each keyword's parts;
        None if they are no lists.
    """
    known = set(values)
    for separator in SEPARATORS:
        lists = [[part for part in value.split(separator) if part] for value in values]
        parts = sorted({part for of_value in lists for part in of_value})
        alone = sum(part in known for part in parts)
        if 3 * len(parts) <= len(values) and alone >= MOSTLY * len(parts):
            number = {part: at for at, part in enumerate(parts)}
            return (
                separator,
                parts,
                [
                    np.unique([number[part] for part in of_value]).astype(np.int64)
                    for of_value in lists
                ],
            )
    return None


def _of_numbers(name: str, postings: OrderedPostings, items: int) -> list[AttributeValues]:
    numbers = np.asarray(postings.values).astype(np.float64)
    bands = Bands.of(numbers)
    if not bands.bounds:
        return []
    rows = np.asarray(postings.item_rows)
    made = _numbered(name, bands.names, rows, bands.of_numbers(numbers), items)
    return [replace(made, bands=bands)]


def _of_titles(titles: Sequence[str], words: TitleWords) -> list[AttributeValues]:
    if len(words.kinds) < 2:
        return []
    found = [words.kind(title) for title in titles]
    rows = np.array([row for row, kind in enumerate(found) if kind is not None], np.int64)
    numbers = np.array([kind for kind in found if kind is not None], np.int64)
    made = _numbered(TITLE_WORD, tuple(words.kinds), rows, numbers, len(titles))
    return [replace(made, words=words)]


def _numbered(
    name: str,
    values: Sequence[str],
    rows: NDArray[Any],
    numbers: NDArray[np.int64],
    items: int,
) -> AttributeValues:
    """Values of items, each once an item, from pairs in any order."""
    pairs = np.unique(rows.astype(np.int64) * len(values) + numbers)
    counts = np.bincount(pairs // len(values), minlength=items)
    return AttributeValues(
        name=name,
        values=values,
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        numbers=(pairs % len(values)).astype(np.int32),
    )
