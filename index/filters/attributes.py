"""Items' attributes: which rows fit a filter."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from dataset.attribute_kind import Kind
from dataset.postings import KeywordPostings, OrderedPostings, Postings, load_postings
from index.filters.clauses import as_keyword, as_number, check_clause
from index.filters.item_values import NOTHING, Held, Values, fits, read
from index.live_index import LiveIndex
from shortlist_client.api.filters import AnyOf, Clause, Filters


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """Answers filters from postings. Knows nothing of item ids or embeddings."""

    attributes: Mapping[str, tuple[Kind, Postings]]
    """Kind and postings of every attribute, by name"""
    items: int
    """Items of the release"""
    live: LiveIndex | None = None
    """The index after some changes: hidden items fit nothing. None where nothing changed"""
    added: Sequence[Held] = ()
    """Values of every added item, hidden ones too, in order; may be longer than the index"""

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        """Kind of every attribute, by name."""
        return {name: kind for name, (kind, _) in self.attributes.items()}

    def _postings(self, name: str) -> Postings:
        return self.attributes[name][1]

    def held(self, described: Mapping[str, Any]) -> Held:
        """What an item has, so that filters can look at it.

        Args:
            described: Plain JSON values by attribute.

        Raises:
            ValueError: an attribute is unknown or its value of another kind; names it.
        """
        known = {}
        for name, value in described.items():
            if name not in self.kinds:
                names = ", ".join(sorted(self.kinds)) or "none, for the items have no attributes"
                raise ValueError(f"attribute must be one of those known ({names}), got {name!r}")
            values = read(name, self.kinds[name], value)
            postings = self._postings(name)
            if isinstance(postings, OrderedPostings):
                values = frozenset(map(postings.held, values))
            known[name] = values
        return known

    def keywords(
        self, name: str, rows: NDArray[Any]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """What some items have for a keyword attribute.

        Args:
            name: Of the attribute.
            rows: Item rows.

        Returns:
            Places among the items and numbers of values, one for each value of each item; numbers
            are equal where values are.
        """
        postings = self._postings(name)
        assert isinstance(postings, KeywordPostings), name
        base = rows < self.items
        places, numbers = postings.values_of(rows[base])
        found = [(np.flatnonzero(base)[places], numbers)]
        unknown: dict[str, int] = {}
        for place in np.flatnonzero(~base).tolist():
            held = self.added[int(rows[place]) - self.items].get(name, NOTHING)
            own = [_number(postings, value, unknown) for value in held]
            found.append((np.full(len(own), place), np.array(own, np.int64)))
        return np.concatenate([p for p, _ in found]), np.concatenate([n for _, n in found])

    def of_release(self, rows: Sequence[int]) -> dict[int, Held]:
        """What items of the release have, by row; attributes without a value are left out."""
        found: dict[int, dict[str, Values]] = {row: {} for row in rows}
        for name, (_, postings) in self.attributes.items():
            for row, value in postings.of_rows(BitMap(rows)):
                found[row][name] = found[row].get(name, NOTHING) | {value}
        return dict(found)

    @classmethod
    def load(cls, folder: Path, items: int) -> "Attributes":
        """Map the postings of a finished data stage.

        Args:
            folder: Of the stage.
            items: Size of the corpus.
        """
        return cls(attributes=load_postings(folder), items=items)

    def matching(self, filters: Filters) -> BitMap:
        """Item rows that fit.

        Raises:
            FilterError: a clause breaks a rule.
        """
        for clause in filters:
            check_clause(clause, self.kinds)
        rows = self._of_release(filters)
        if self.live is not None:
            rows -= self.live.hidden
            rows |= self._of_added(filters, self.live)
        return rows

    def _of_added(self, filters: Filters, index: LiveIndex) -> BitMap:
        """Added rows that are not hidden and fit, looked at one by one."""
        must, should, must_not = (
            [self._test(clause) for clause in clauses]
            for clauses in (filters.must, filters.should, filters.must_not)
        )

        def fit(held: Held) -> bool:
            return (
                all(test(held) for test in must)
                and (not should or any(test(held) for test in should))
                and not any(test(held) for test in must_not)
            )

        return BitMap(
            [row for row in index.living_added().tolist() if fit(self.added[row - self.items])]
        )

    def _test(self, clause: Clause) -> Callable[[Held], bool]:
        name, postings = clause.attribute, self._postings(clause.attribute)
        test = fits(clause, postings.held if isinstance(postings, OrderedPostings) else float)
        return lambda held: test(held.get(name, NOTHING))

    def _of_release(self, filters: Filters) -> BitMap:
        wanted = [self._rows(clause) for clause in filters.must]
        if filters.should:
            wanted.append(BitMap.union(BitMap(), *map(self._rows, filters.should)))
        rows = BitMap.intersection(*wanted) if wanted else BitMap(range(self.items))
        for clause in filters.must_not:
            rows -= self._rows(clause)
        return rows

    def _rows(self, clause: Clause) -> BitMap:
        postings = self._postings(clause.attribute)
        if isinstance(clause, AnyOf):
            if isinstance(postings, KeywordPostings):
                return postings.rows(map(as_keyword, clause.values))
            return postings.rows(map(as_number, clause.values))
        assert isinstance(postings, OrderedPostings)
        bounds = {name: as_number(value) for name, value in clause.bounds.items()}
        return postings.between(
            bounds.get("gt", bounds.get("gte")),
            bounds.get("lt", bounds.get("lte")),
            above="gt" in bounds,
            below="lt" in bounds,
        )


def _number(postings: KeywordPostings, keyword: str, unknown: dict[str, int]) -> int:
    """Of a keyword; one that the release lacks gets the next that is free."""
    place = postings.place(keyword)
    if place is None:
        return unknown.setdefault(keyword, len(postings.values) + len(unknown))
    return place
