"""Items' attributes: which rows fit a filter."""

from collections.abc import Mapping
from pathlib import Path

from pyroaring import BitMap

from dataset.kinds import Kind
from dataset.postings import KeywordPostings, OrderedPostings, Postings, load_postings
from index.filters import AnyOf, Clause, Filters, as_keyword, as_number, check_clause


class Attributes:
    """Answers filters from postings. Knows nothing of item ids or embeddings."""

    def __init__(self, postings: Mapping[str, tuple[Kind, Postings]], items: int) -> None:
        """Take the parts.

        Args:
            postings: Kind and postings of every attribute, by name.
            items: Size of the corpus.
        """
        self.kinds: Mapping[str, Kind] = {name: kind for name, (kind, _) in postings.items()}
        """Of every attribute, by name."""
        self._postings = {name: made for name, (_, made) in postings.items()}
        self._items = items

    @classmethod
    def load(cls, folder: Path, items: int) -> "Attributes":
        """Map the postings of a finished data stage.

        Args:
            folder: Of the stage.
            items: Size of the corpus.
        """
        return cls(load_postings(folder), items)

    def matching(self, filters: Filters) -> BitMap:
        """Item rows that fit.

        Raises:
            FilterError: a clause breaks a rule.
        """
        for clause in filters:
            check_clause(clause, self.kinds)
        wanted = [self._rows(clause) for clause in filters.must]
        if filters.should:
            wanted.append(BitMap.union(BitMap(), *map(self._rows, filters.should)))
        rows = BitMap.intersection(*wanted) if wanted else BitMap(range(self._items))
        for clause in filters.must_not:
            rows -= self._rows(clause)
        return rows

    def _rows(self, clause: Clause) -> BitMap:
        postings = self._postings[clause.attribute]
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
