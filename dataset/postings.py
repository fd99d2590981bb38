"""Postings: for each attribute the items that have a value, memory-mapped.

Each keyword or boolean has a roaring bitmap of item rows in the portable format, read on demand.
Numbers and times are sorted arrays with their item rows.
"""

import json
import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from dataset.arrays import StringColumn
from dataset.attribute_kind import Kind
from dataset.spans import Span
from lineage.arrays import read_array

FOLDER, ABOUT = "attributes", "about.json"
"""Folder below the data stage, and the file with the attributes' names and kinds."""
INT64 = np.iinfo(np.int64)
POSTINGS, BOUNDS, VALUES, ROWS = "postings", "bounds", "values", "rows"


def bitmap_of(rows: NDArray[Any]) -> BitMap:
    """Item rows, in any order, as a bitmap; ten times as fast if they are ascending."""
    return BitMap(array("I", rows.astype(np.uint32).tobytes()))


def rows_of(bitmap: BitMap) -> NDArray[np.int64]:
    """(rows,): item rows of a bitmap, ascending."""
    return np.asarray(bitmap.to_array()).astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class KeywordPostings:
    """Item rows of each keyword; an item may have several keywords or none."""

    values: StringColumn
    """(values,) keywords, distinct, ascending by code point"""
    postings: NDArray[np.uint8]
    """Serialised bitmaps, end to end"""
    bounds: NDArray[np.int64]
    """(values + 1,): value i owns `postings[bounds[i]:bounds[i + 1]]`"""

    def rows(self, wanted: Iterable[str]) -> BitMap:
        """Item rows that have one of the keywords."""
        places = [place for value in wanted if (place := self.place(value)) is not None]
        return BitMap.union(BitMap(), *map(self._posting, places))

    def of_rows(self, rows: BitMap) -> Iterator[tuple[int, str]]:
        """Yield pairs of an item row and one of its keywords."""
        wanted = rows_of(rows)
        places, numbers = self.values_of(wanted)
        for row, number in zip(wanted[places].tolist(), numbers.tolist(), strict=True):
            yield row, self.values[number]

    def place(self, value: str) -> int | None:
        """Position of a keyword among the values; None if no item has it."""
        return self.values.place(value)

    def values_of(self, rows: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Keywords of the given items: positions among the rows, and positions among the values.

        The first call inverts all postings, which takes about a second for a million distinct
        values.
        """
        owners, values = self._by_row
        starts = np.searchsorted(owners, rows)
        lengths = np.searchsorted(owners, rows, "right") - starts
        stops = np.cumsum(lengths)
        places = np.arange(lengths.sum()) + np.repeat(starts - stops + lengths, lengths)
        return np.repeat(np.arange(len(rows)), lengths), values[places].astype(np.int64)

    @cached_property
    def _by_row(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Item rows, ascending, and the position of a keyword of each."""
        postings = [rows_of(self._posting(place)) for place in range(len(self.values))]
        rows = np.concatenate([np.empty(0, np.int64), *postings]).astype(np.int32)
        values = np.repeat(np.arange(len(postings), dtype=np.int32), list(map(len, postings)))
        order = np.argsort(rows, kind="stable")
        return rows[order], values[order]

    def _posting(self, place: int) -> BitMap:
        return BitMap.deserialize(
            self.postings[self.bounds[place] : self.bounds[place + 1]].tobytes()
        )

    @classmethod
    def of(
        cls, values: Sequence[str], starts: NDArray[np.int64], rows: NDArray[Any]
    ) -> "KeywordPostings":
        """Build postings from rows that are grouped by value.

        Args:
            values: Keywords, distinct, ascending by code point.
            starts: (values + 1,): value i owns `rows[starts[i]:starts[i + 1]]`.
            rows: Item rows, ascending within a value.
        """
        blocks = [bitmap_of(rows[start:stop]).serialize() for start, stop in pairwise(starts)]
        return cls(
            values=StringColumn.of(values),
            postings=np.frombuffer(b"".join(blocks), np.uint8),
            bounds=np.cumsum([0, *map(len, blocks)], dtype=np.int64),
        )

    def save(self, folder: Path, name: str) -> None:
        """Write `<name>.<part>.npy`."""
        StringColumn.save(folder, f"{name}.{VALUES}", self.values)
        np.save(folder / f"{name}.{POSTINGS}.npy", self.postings)
        np.save(folder / f"{name}.{BOUNDS}.npy", self.bounds)

    @classmethod
    def load(cls, folder: Path, name: str) -> "KeywordPostings":
        """Memory-map what `save` wrote."""
        return cls(
            values=StringColumn.load(folder, f"{name}.{VALUES}"),
            postings=read_array(folder / f"{name}.{POSTINGS}.npy"),
            bounds=read_array(folder / f"{name}.{BOUNDS}.npy"),
        )


@dataclass(frozen=True, kw_only=True)
class OrderedPostings:
    """Item rows sorted by number, or by time in microseconds since 1970, UTC.

    Whole numbers keep 64 bits: a search compares them with any number exactly.
    """

    values: NDArray[Any]
    """(known,) ascending values: float32, float64, int64 for whole numbers and times; Python's own
    numbers where live items mix whole numbers with others"""
    item_rows: NDArray[np.int32]
    """(known,): item row of each value"""

    def of_rows(self, rows: BitMap) -> Iterator[tuple[int, float]]:
        """Yield pairs of an item row and its value."""
        for place in np.flatnonzero(np.isin(self.item_rows, rows_of(rows))).tolist():
            yield int(self.item_rows[place]), self.values[place].item()

    def span(
        self,
        lower: float | None,
        upper: float | None,
        *,
        above: bool = False,
        below: bool = False,
    ) -> Span:
        """Positions of the values within bounds.

        Args:
            lower: Lower bound; None for none.
            upper: Upper bound; None for none.
            above: Whether the lower bound itself is excluded.
            below: Whether the upper bound itself is excluded.
        """
        start, stop = 0, len(self.values)
        if lower is not None:
            start = self._search(lower, after=above)
        if upper is not None:
            stop = self._search(upper, after=not below)
        return start, max(start, stop)

    def at(self, spans: Sequence[Span]) -> BitMap:
        """Item rows of the values at some positions."""
        found = [self.item_rows[start:stop] for start, stop in spans]
        mask = np.zeros(1 + max((int(rows.max()) for rows in found if len(rows)), default=-1), bool)
        for rows in found:
            mask[rows] = True
        return bitmap_of(np.flatnonzero(mask))

    def as_stored(self, value: float) -> float:
        """A value in the precision of the column: 9.99 as float32 is not 9.99 as float64.

        A column of whole numbers has no precision to lose.
        """
        if not self._rounds:
            return value
        with np.errstate(over="ignore"):
            try:
                rounded: float = self.values.dtype.type(value).item()
            except OverflowError:  # a whole number that is larger than any float
                return math.inf if value > 0 else -math.inf
        return rounded

    def like(self, values: Sequence[float], item_rows: NDArray[Any]) -> "OrderedPostings":
        """Postings of other items in the same column; whole numbers and others may mix."""
        whole = all(value == int(value) and INT64.min <= value <= INT64.max for value in values)
        if self._rounds:
            array_of_values = np.array(values, self.values.dtype)
        elif whole:
            array_of_values = np.array([int(value) for value in values], np.int64)
        else:
            array_of_values = np.array(values, object)
        return OrderedPostings.of(array_of_values, item_rows)

    @property
    def _rounds(self) -> bool:
        return self.values.dtype.kind == "f"

    def _search(self, value: float, *, after: bool) -> int:
        bound: Any = value
        if self._rounds:
            bound = self.values.dtype.type(self.as_stored(value))  # else numpy converts all values
        elif self.values.dtype == np.int64:
            bound = math.floor(value)
            after = after or bound != value  # no whole number lies between them
            if not INT64.min <= bound <= INT64.max:
                return 0 if bound < 0 else len(self.values)
            bound = np.int64(bound)
        return int(np.searchsorted(self.values, bound, "right" if after else "left"))

    @classmethod
    def of(cls, values: NDArray[Any], item_rows: NDArray[Any]) -> "OrderedPostings":
        """Build postings from known values, in any order, and their item rows."""
        order = np.argsort(values, kind="stable")
        return cls(values=values[order], item_rows=item_rows[order].astype(np.int32))

    def save(self, folder: Path, name: str) -> None:
        """Write `<name>.<part>.npy`."""
        np.save(folder / f"{name}.{VALUES}.npy", self.values)
        np.save(folder / f"{name}.{ROWS}.npy", self.item_rows)

    @classmethod
    def load(cls, folder: Path, name: str) -> "OrderedPostings":
        """Memory-map what `save` wrote."""
        return cls(
            values=read_array(folder / f"{name}.{VALUES}.npy"),
            item_rows=read_array(folder / f"{name}.{ROWS}.npy"),
        )


Postings = KeywordPostings | OrderedPostings


def save_postings(folder: Path, kinds: Mapping[str, Kind], made: Sequence[Postings]) -> None:
    """Write the postings of every attribute.

    Args:
        folder: Folder of the data stage.
        kinds: Kind of each attribute, by name.
        made: Postings of each attribute, in the order of the kinds.
    """
    below = folder / FOLDER
    below.mkdir()
    for number, postings in enumerate(made):
        postings.save(below, str(number))
    (below / ABOUT).write_text(json.dumps(kinds, ensure_ascii=False, indent=1))


def load_postings(folder: Path) -> dict[str, tuple[Kind, Postings]]:
    """Memory-map what `save_postings` wrote: kind and postings of every attribute, by name."""
    below = folder / FOLDER
    kinds: dict[str, Kind] = json.loads((below / ABOUT).read_text())
    return {
        name: (kind, _class_of(kind).load(below, str(number)))
        for number, (name, kind) in enumerate(kinds.items())
    }


def _class_of(kind: Kind) -> type[KeywordPostings] | type[OrderedPostings]:
    return OrderedPostings if kind in ("number", "time") else KeywordPostings
