"""An immutable snapshot of a changing index: a fixed base, added rows and hidden rows."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from dataset.append_only import BLOCK, AppendOnlyArray
from dataset.postings import bitmap_of, rows_of
from index.arrays import Rows64, Scores
from index.vector_store import VectorStore
from index.vectors import checked, require_unit_length

SLACK = 16
"""Extra items to search for, in addition to twice the expected number of hidden items."""
WIDER = 4
"""Factor by which a search widens when it found too few visible items."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LiveIndex:
    """Searches the base and, exactly, the added rows; never returns a hidden row.

    Added rows are numbered after the rows of the base. An added row may replace an item of the
    base. A change returns a new index that shares the unchanged parts, so running searches are not
    disturbed. Knows nothing of item ids.
    """

    base: VectorStore
    """Index of the release; never changes"""
    added: AppendOnlyArray[np.float32]
    """(added rows, dimension) embeddings of the added rows, hidden ones included"""
    added_origins: AppendOnlyArray[np.int64]
    """(added rows,) row of the same item in the base, -1 for an item that it lacks"""
    hidden_rows: Rows64
    """Hidden rows, ascending and distinct"""

    @classmethod
    def of(cls, base: VectorStore) -> "LiveIndex":
        """Start from a base without changes."""
        return cls(
            base=base,
            added=AppendOnlyArray((base.dimension,), np.float32),
            added_origins=AppendOnlyArray((), np.int64),
            hidden_rows=np.empty(0, np.int64),
        )

    def __len__(self) -> int:
        """Number of rows, hidden ones included."""
        return len(self.base) + len(self.added)

    @property
    def built(self) -> int:
        """Number of rows of the base, hidden ones included; their row numbers never change."""
        return len(self.base)

    @property
    def dimension(self) -> int:
        """Dimension of an embedding."""
        return self.base.dimension

    @property
    def live(self) -> int:
        """Number of rows that are not hidden."""
        return len(self) - len(self.hidden_rows)

    @property
    def hidden_added(self) -> int:
        """Number of added rows that are hidden: memory that `renumbered` frees."""
        return len(self.hidden_rows) - self._hidden_of_base

    def check(self, vectors: NDArray[Any]) -> None:
        """Raise unless the embeddings can be added.

        Raises:
            ValueError: wrong shape, not finite or not of unit length.
        """
        require_unit_length(checked(vectors, self.dimension))

    def changed(
        self, vectors: Scores | None = None, origins: Rows64 | None = None, *, hidden: Rows64
    ) -> "LiveIndex":
        """The index after one change. Only one writer may call it, on the newest index only.

        Args:
            vectors: (added, dimension) embeddings of new rows, of unit length.
            origins: (added,) row of the same item in the base, -1 for an item that it lacks.
            hidden: Rows to hide, of the base or added before.

        Raises:
            ValueError: the vectors are invalid or a row to hide does not exist.
        """
        if len(hidden) and not (hidden.min() >= 0 and hidden.max() < len(self)):
            raise ValueError(
                f"hidden rows must be in [0, {len(self)}), got {hidden.min()} to {hidden.max()}"
            )
        added, origins_after = self.added, self.added_origins
        if vectors is not None and len(vectors):
            self.check(vectors)
            assert origins is not None
            added, origins_after = added.appended(vectors), origins_after.appended(origins)
        fresh = np.unique(hidden[self.alive(hidden)])
        return replace(
            self,
            added=added,
            added_origins=origins_after,
            hidden_rows=np.insert(
                self.hidden_rows, np.searchsorted(self.hidden_rows, fresh), fresh
            ),
        )

    def renumbered(self) -> tuple["LiveIndex", Rows64]:
        """An equal index without hidden added rows, and the old numbers of the rest, ascending.

        The remaining added rows get new numbers, without gaps, in the same order.
        """
        rows = self.visible_added()
        places, empty = rows - len(self.base), LiveIndex.of(self.base)
        after = replace(
            empty,
            added=empty.added.appended(self.added[places]),
            added_origins=empty.added_origins.appended(self.added_origins[places]),
            hidden_rows=self.hidden_rows[: self._hidden_of_base],
        )
        return after, rows

    def alive(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether each row is visible; false for -1."""
        place = np.searchsorted(self.hidden_rows, rows)
        hidden = np.zeros(rows.shape, bool)
        inside = place < len(self.hidden_rows)
        hidden[inside] = self.hidden_rows[place[inside]] == rows[inside]
        return (rows >= 0) & ~hidden

    def visible_added(self) -> Rows64:
        """Added rows that are not hidden, ascending."""
        rows = np.arange(len(self.base), len(self))
        return rows[self.alive(rows)]

    def origins(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Row in the base of each row's item; for an item that the base lacks, the row itself."""
        if not len(self.added):
            return rows
        origins = rows.astype(np.int64)
        added = origins >= len(self.base)
        if added.any():
            known = self.added_origins[origins[added] - len(self.base)]
            origins[added] = np.where(known >= 0, known, origins[added])
        return origins

    def current(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Current rows of the items at some rows of the base; -1 for deleted items."""
        if self._unchanged:
            return rows
        current = np.where(self.alive(rows), rows, -1).astype(np.int64)
        origins, newest = self._replacements
        if len(origins):
            place = np.minimum(np.searchsorted(origins, rows), len(origins) - 1)
            moved = origins[place] == rows
            current[moved] = newest[place[moved]]
        return current

    def vectors(self, rows: NDArray[Any]) -> Scores:
        """(rows, dimension): embeddings of some rows, hidden ones included.

        Raises:
            ValueError: a row does not exist.
        """
        added = rows >= len(self.base)
        if not added.any():
            return self.base.vectors(rows)
        if rows.min() < 0 or rows.max() >= len(self):
            raise ValueError(f"rows must be in [0, {len(self)}), got {rows.min()} to {rows.max()}")
        found = np.empty((len(rows), self.dimension), np.float32)
        found[~added] = self.base.vectors(rows[~added])
        found[added] = self.added[rows[added] - len(self.base)]
        return found

    def search(self, queries: Scores, k: int) -> tuple[Scores, Rows64]:
        """Find the k visible items of largest inner product.

        Args:
            queries: (queries, dimension) unit-length embeddings.
            k: Items per query.

        Returns:
            Scores and rows, both (queries, k), best first; row -1 if fewer than k are visible. An
            unchanged index answers exactly as its base does.

        Raises:
            ValueError: wrong shape, not finite, or k outside [1, rows].
        """
        if self._unchanged:
            return self.base.search(queries, k)
        if not 1 <= k <= len(self):
            raise ValueError(f"k must be in [1, {len(self)}], got {k}")
        given = checked(queries, self.dimension)
        hidden = self.hidden_rows[self._hidden_of_base :]
        return _best(self._search_base(given, k), self._search_added(given, k, hidden), k)

    def search_among(self, query: Scores, k: int, allowed: BitMap) -> tuple[Scores, Rows64]:
        """Find the k visible items of largest inner product among the allowed rows.

        Args:
            query: (dimension,) of unit length.
            k: Items wanted, at least 1.
            allowed: Rows to choose from.

        Returns:
            Scores and rows, both (found,), best first: all allowed visible rows, at most k.

        Raises:
            ValueError: wrong shape, not finite, k below 1, or a row does not exist.
        """
        if self._unchanged:
            return self.base.search_among(query, k, allowed)
        if allowed and allowed.max() >= len(self):
            raise ValueError(
                f"rows must be in [0, {len(self)}), got {allowed.min()} to {allowed.max()}"
            )
        visible, size = allowed - self.hidden, len(self.base)
        added = visible - self._of_base
        of_base = self.base.search_among(query, k, visible - added)
        if not added:
            return of_base
        left_out = np.delete(np.arange(size, len(self)), rows_of(added) - size)
        of_added = self._search_added(query[None], k, left_out)
        scores, rows = _best((of_base[0][None], of_base[1][None]), of_added, k)
        found = rows[0] >= 0
        return scores[0][found], rows[0][found]

    @cached_property
    def hidden(self) -> BitMap:
        """Hidden rows."""
        return bitmap_of(self.hidden_rows)

    @property
    def _unchanged(self) -> bool:
        return not len(self.added) and not len(self.hidden_rows)

    @cached_property
    def _of_base(self) -> BitMap:
        return BitMap(range(len(self.base)))

    @cached_property
    def _hidden_of_base(self) -> int:
        return int(np.searchsorted(self.hidden_rows, len(self.base)))

    @cached_property
    def _replacements(self) -> tuple[Rows64, Rows64]:
        """Rows of the base whose items were replaced, ascending, and the rows that replace them."""
        rows = self.visible_added()
        origins = self.added_origins[rows - len(self.base)]
        known = np.flatnonzero(origins >= 0)
        order = known[np.argsort(origins[known])]
        return origins[order], rows[order]

    def _search_base(self, queries: Scores, k: int) -> tuple[Scores, Rows64]:
        """Scores and rows, (queries, k): -inf and -1 if the base has fewer visible rows."""
        found = np.full((len(queries), k), -np.inf, np.float32), np.full((len(queries), k), -1)
        hidden, size = self._hidden_of_base, len(self.base)
        wanted = min(k, size - hidden)
        width = min(wanted + min(hidden, SLACK + 2 * wanted * hidden // size), size)
        pending = np.arange(len(queries) if wanted else 0)
        while len(pending):
            scores, rows = self.base.search(queries[pending], width)
            kept = self.alive(rows)
            enough = kept.sum(axis=1) >= wanted
            for place in np.flatnonzero(enough).tolist():
                best = np.flatnonzero(kept[place])[:wanted]
                found[0][pending[place], :wanted] = scores[place, best]
                found[1][pending[place], :wanted] = rows[place, best]
            exhausted = width == size or (rows[~enough] < 0).any()
            pending = pending[~enough]
            if len(pending) and exhausted:
                exact = self._scan_base(queries[pending], wanted)
                found[0][pending, :wanted], found[1][pending, :wanted] = exact
                break
            width = min(WIDER * width, size)
        return found

    def _scan_base(self, queries: Scores, wanted: int) -> tuple[Scores, Rows64]:
        """Compare the queries with every visible item of the base: slow but exact."""
        best = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        for start in range(0, len(self.base), BLOCK):
            rows = np.arange(start, min(start + BLOCK, len(self.base)))
            rows = rows[self.alive(rows)]
            scores = queries @ self.base.vectors(rows.astype(np.int32)).T if len(rows) else None
            if scores is not None:
                block = scores, np.tile(rows, (len(queries), 1))
                best = _best(best, block, wanted)
        return best

    def _search_added(self, queries: Scores, k: int, left_out: Rows64) -> tuple[Scores, Rows64]:
        """Scores and added rows, (queries, at most k): -inf and -1 for rows left out."""
        scores = np.empty((len(queries), len(self.added)), np.float32)
        for start, block in self.added.blocks():
            np.vecdot(queries[:, None], block, out=scores[:, start : start + len(block)])
        scores[:, left_out - len(self.base)] = -np.inf
        if scores.shape[1] > k:
            places = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        else:
            places = np.tile(np.arange(scores.shape[1]), (len(queries), 1))
        scores = np.take_along_axis(scores, places, 1)
        return scores, np.where(np.isinf(scores), -1, places + len(self.base))


def _best(
    first: tuple[Scores, Rows64], second: tuple[Scores, Rows64], k: int
) -> tuple[Scores, Rows64]:
    """The k best of two results, all (queries, found); ties prefer the first."""
    scores = np.concatenate([first[0], second[0]], axis=1)
    rows = np.concatenate([first[1], second[1]], axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)
