"""The attributes of all items, and the item rows that fit a filter."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from dataset.attribute_kind import Kind
from dataset.postings import (
    KeywordPostings,
    OrderedPostings,
    Postings,
    bitmap_of,
    load_postings,
)
from index.filters.clauses import check_clause
from index.filters.item_values import NOTHING, ItemValues, Values, read
from index.filters.matching import KeywordRows, matching
from index.live_index import LiveIndex
from shortlist_client.api.filters import Filters


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """Answers filters from postings. Knows nothing of item ids or embeddings."""

    attributes: Mapping[str, tuple[Kind, Postings]]
    """Kind and postings of every attribute, by name"""
    items: int
    """Items of the release"""
    live: LiveIndex | None = None
    """Live index, whose hidden items fit no filter; None without changes"""
    added: Sequence[ItemValues] = ()
    """Item values of every added item, hidden ones included, in order; may be longer than `live`"""

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        """Kind of every attribute, by name."""
        return {name: kind for name, (kind, _) in self.attributes.items()}

    def _postings(self, name: str) -> Postings:
        return self.attributes[name][1]

    def item_values(self, described: Mapping[str, Any]) -> ItemValues:
        """Item values of a described item, in the form that filters compare.

        Args:
            described: Plain JSON values by attribute.

        Raises:
            ValueError: an attribute is unknown or its value is of another kind; names it.
        """
        known = {}
        for name, value in described.items():
            if name not in self.kinds:
                names = ", ".join(sorted(self.kinds)) or "none: the items have no attributes"
                raise ValueError(f"attribute must be one of ({names}), got {name!r}")
            values = read(name, self.kinds[name], value)
            postings = self._postings(name)
            if isinstance(postings, OrderedPostings):
                values = frozenset(map(postings.as_stored, values))
            known[name] = values
        return known

    def keywords(
        self, name: str, rows: NDArray[Any]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Values of a keyword attribute for some items.

        Args:
            name: Name of the attribute.
            rows: Item rows.

        Returns:
            Two arrays with an entry for each value of each item: the item's position in `rows`, and
            a number that identifies the value.
        """
        postings = self._postings(name)
        assert isinstance(postings, KeywordPostings), name
        base = rows < self.items
        places, numbers = postings.values_of(rows[base])
        found = [(np.flatnonzero(base)[places], numbers)]
        unknown: dict[str, int] = {}
        for place in np.flatnonzero(~base).tolist():
            values = self.added[int(rows[place]) - self.items].get(name, NOTHING)
            own = [_number(postings, value, unknown) for value in values]
            found.append((np.full(len(own), place), np.array(own, np.int64)))
        return np.concatenate([p for p, _ in found]), np.concatenate([n for _, n in found])

    def of_release(self, rows: Sequence[int]) -> dict[int, ItemValues]:
        """Item values of items of the release, by row; attributes without a value are left out."""
        found: dict[int, dict[str, Values]] = {row: {} for row in rows}
        for name, (_, postings) in self.attributes.items():
            for row, value in postings.of_rows(BitMap(rows)):
                found[row][name] = found[row].get(name, NOTHING) | {value}
        return dict(found)

    @classmethod
    def load(cls, folder: Path, items: int) -> "Attributes":
        """Memory-map the postings of a finished data stage.

        Args:
            folder: Folder of the data stage.
            items: Size of the corpus.
        """
        return cls(attributes=load_postings(folder), items=items)

    def matching(self, filters: Filters) -> BitMap:
        """Item rows that fit the filters and are not hidden.

        Raises:
            FilterError: a clause is invalid.
        """
        for clause in filters:
            check_clause(clause, self.kinds)
        rows = matching(filters, self._postings, lambda: BitMap(range(self.items)))
        if self.live is not None:
            live = self.live
            rows -= live.hidden
            postings = cache(self._added_postings)
            rows |= matching(filters, postings, lambda: bitmap_of(live.visible_added()))
        return rows

    def _added_postings(self, name: str) -> KeywordRows | OrderedPostings:
        """Postings of one attribute over the added rows that are not hidden."""
        assert self.live is not None
        held = [
            (row, value)
            for row in self.live.visible_added().tolist()
            for value in self.added[row - self.items].get(name, NOTHING)
        ]
        of_release = self._postings(name)
        if isinstance(of_release, OrderedPostings):
            rows = np.array([row for row, _ in held], np.int64)
            return of_release.like([value for _, value in held], rows)
        rows_of: dict[str, list[int]] = defaultdict(list)
        for row, keyword in held:
            rows_of[keyword].append(row)
        return KeywordRows(rows_of)


def _number(postings: KeywordPostings, keyword: str, unknown: dict[str, int]) -> int:
    """Number of a keyword; a keyword that the release lacks gets the next free number."""
    place = postings.place(keyword)
    if place is None:
        return unknown.setdefault(keyword, len(postings.values) + len(unknown))
    return place
