"""An index as of one moment: a base that never changes, rows added to it, rows hidden from it."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from dataset.append_only import BLOCK, Grown
from dataset.postings import bitmap_of, rows_of
from index.vector_store import VectorStore
from index.vectors import checked, require_unit_length

Rows = NDArray[np.int64]
Scores = NDArray[np.float32]
SLACK = 16
"""Items more than wanted that are looked for, beside twice as many as are expected to be hidden."""
WIDER = 4
"""A search that found too few items that are left looks this many times as far."""


class LiveIndex:
    """Searches a base and what was added to it, exactly, and returns nothing that is hidden.

    Added rows are numbered on behind those of the base. An added row may be the new form of an item
    of the base. A change makes another index that shares all that stays; whoever searches this one
    goes on undisturbed. Knows nothing of item ids.
    """

    def __init__(self, base: VectorStore) -> None:
        """Begin with a base as it was built."""
        self._base = base
        self._added: Grown[np.float32] = Grown((base.dimension,), np.float32)
        self._origins: Grown[np.int64] = Grown((), np.int64)
        self._hidden: Rows = np.empty(0, np.int64)  # ascending, distinct

    def __len__(self) -> int:
        """Rows, hidden ones too."""
        return len(self._base) + len(self._added)

    @property
    def built(self) -> int:
        """Rows of the base, hidden ones too; their numbers never change."""
        return len(self._base)

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return self._base.dimension

    @property
    def live(self) -> int:
        """Rows that are not hidden."""
        return len(self) - len(self._hidden)

    @property
    def added(self) -> Grown[np.float32]:
        """(added rows, dimension): their embeddings, hidden ones too."""
        return self._added

    @property
    def hidden_added(self) -> int:
        """Added rows that are hidden: memory without a use."""
        return len(self._hidden) - self._hidden_of_base

    def check(self, vectors: NDArray[Any]) -> None:
        """Refuse embeddings that may not be added.

        Raises:
            ValueError: wrong shape, not finite or not of unit length.
        """
        require_unit_length(checked(vectors, self.dimension))

    def changed(
        self, vectors: Scores | None = None, origins: Rows | None = None, *, hidden: Rows
    ) -> "LiveIndex":
        """The index after one change; only the newest may be changed, by one writer.

        Args:
            vectors: (added, dimension) embeddings of new rows, of unit length.
            origins: (added,) the base's row of the same item, -1 where the base lacks it.
            hidden: Rows, of the base or added before, that are not to be found again.

        Raises:
            ValueError: the vectors are unfit or a row to hide is not there.
        """
        if len(hidden) and not (hidden.min() >= 0 and hidden.max() < len(self)):
            raise ValueError(
                f"hidden rows must be of {len(self)}, got {hidden.min()} to {hidden.max()}"
            )
        after = LiveIndex(self._base)
        after._added, after._origins = self._added, self._origins
        if vectors is not None and len(vectors):
            self.check(vectors)
            assert origins is not None
            after._added = self._added.followed_by(vectors)
            after._origins = self._origins.followed_by(origins)
        fresh = np.unique(hidden[self.alive(hidden)])
        after._hidden = np.insert(self._hidden, np.searchsorted(self._hidden, fresh), fresh)
        return after

    def compacted(self) -> tuple["LiveIndex", Rows]:
        """The same without hidden added rows, and which added rows are left, ascending.

        The rows that are left are numbered anew, without gaps.
        """
        rows = self.living_added()
        places = rows - len(self._base)
        after = LiveIndex(self._base)
        after._added = after._added.followed_by(self._added[places])
        after._origins = after._origins.followed_by(self._origins[places])
        after._hidden = self._hidden[: self._hidden_of_base]
        return after, rows

    def alive(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether each row may be found; false for -1."""
        place = np.searchsorted(self._hidden, rows)
        hidden = np.zeros(rows.shape, bool)
        inside = place < len(self._hidden)
        hidden[inside] = self._hidden[place[inside]] == rows[inside]
        return (rows >= 0) & ~hidden

    def living_added(self) -> Rows:
        """Added rows that are not hidden, ascending."""
        rows = np.arange(len(self._base), len(self))
        return rows[self.alive(rows)]

    def origins(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The base's row of each row's item; of an item that the base lacks, the row itself."""
        if not len(self._added):
            return rows
        origins = rows.astype(np.int64)
        added = origins >= len(self._base)
        if added.any():
            known = self._origins[origins[added] - len(self._base)]
            origins[added] = np.where(known >= 0, known, origins[added])
        return origins

    def current(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Where the items of some rows of the base are now; -1 for those that were deleted."""
        if self._unchanged:
            return rows
        current = np.where(self.alive(rows), rows, -1).astype(np.int64)
        origins, newest = self._renewed
        if len(origins):
            place = np.minimum(np.searchsorted(origins, rows), len(origins) - 1)
            moved = origins[place] == rows
            current[moved] = newest[place[moved]]
        return current

    def vectors(self, rows: NDArray[Any]) -> Scores:
        """(rows, dimension): the embeddings of some rows, hidden ones too.

        Raises:
            ValueError: a row is not there.
        """
        added = rows >= len(self._base)
        if not added.any():
            return self._base.vectors(rows)
        if rows.min() < 0 or rows.max() >= len(self):
            raise ValueError(f"rows must be of {len(self)}, got {rows.min()} to {rows.max()}")
        found = np.empty((len(rows), self.dimension), np.float32)
        found[~added] = self._base.vectors(rows[~added])
        found[added] = self._added[rows[added] - len(self._base)]
        return found

    def search(self, queries: Scores, k: int) -> tuple[Scores, Rows]:
        """Find the k items of largest inner product among those that are not hidden.

        Args:
            queries: (queries, dimension) unit-length embeddings.
            k: Items a query.

        Returns:
            Scores and rows, both (queries, k), best first; row -1 where fewer than k are left. An
            index that nothing has changed answers as its base does.

        Raises:
            ValueError: wrong shape, not finite, or k outside 1 and all rows.
        """
        if self._unchanged:
            return self._base.search(queries, k)
        if not 1 <= k <= len(self):
            raise ValueError(f"k must be within 1 and the corpus of {len(self)}, got {k}")
        given = checked(queries, self.dimension)
        hidden = self._hidden[self._hidden_of_base :]
        return _best(self._search_base(given, k), self._search_added(given, k, hidden), k)

    def search_among(self, query: Scores, k: int, allowed: BitMap) -> tuple[Scores, Rows]:
        """Find the k items of largest inner product among some, but for those that are hidden.

        Args:
            query: (dimension,) of unit length.
            k: Items wanted, at least 1.
            allowed: Rows to choose from.

        Returns:
            Scores and rows, both (found,), best first; as many as are allowed and not hidden, at
            most k.

        Raises:
            ValueError: wrong shape, not finite, k below 1, or a row that is not there.
        """
        if self._unchanged:
            return self._base.search_among(query, k, allowed)
        if allowed and allowed.max() >= len(self):
            raise ValueError(f"rows must be of {len(self)}, got {allowed.min()} to {allowed.max()}")
        left, size = allowed - self.hidden, len(self._base)
        added = left - self._of_base
        of_base = self._base.search_among(query, k, left - added)
        if not added:
            return of_base
        left_out = np.delete(np.arange(size, len(self)), rows_of(added) - size)
        of_added = self._search_added(query[None], k, left_out)
        scores, rows = _best((of_base[0][None], of_base[1][None]), of_added, k)
        found = rows[0] >= 0
        return scores[0][found], rows[0][found]

    @cached_property
    def hidden(self) -> BitMap:
        """Rows that are not to be found."""
        return bitmap_of(self._hidden)

    @property
    def _unchanged(self) -> bool:
        return not len(self._added) and not len(self._hidden)

    @cached_property
    def _of_base(self) -> BitMap:
        return BitMap(range(len(self._base)))

    @cached_property
    def _hidden_of_base(self) -> int:
        return int(np.searchsorted(self._hidden, len(self._base)))

    @cached_property
    def _renewed(self) -> tuple[Rows, Rows]:
        """Rows of the base whose items were added again, ascending, and where they are now."""
        rows = self.living_added()
        origins = self._origins[rows - len(self._base)]
        known = np.flatnonzero(origins >= 0)
        order = known[np.argsort(origins[known])]
        return origins[order], rows[order]

    def _search_base(self, queries: Scores, k: int) -> tuple[Scores, Rows]:
        """Scores and rows, (queries, k): -inf and -1 where the base has fewer left."""
        found = np.full((len(queries), k), -np.inf, np.float32), np.full((len(queries), k), -1)
        hidden, size = self._hidden_of_base, len(self._base)
        wanted = min(k, size - hidden)
        width = min(wanted + min(hidden, SLACK + 2 * wanted * hidden // size), size)
        pending = np.arange(len(queries) if wanted else 0)
        while len(pending):
            scores, rows = self._base.search(queries[pending], width)
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

    def _scan_base(self, queries: Scores, wanted: int) -> tuple[Scores, Rows]:
        """Compare with every item of the base that is left: slow, and misses none."""
        best = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        for start in range(0, len(self._base), BLOCK):
            rows = np.arange(start, min(start + BLOCK, len(self._base)))
            rows = rows[self.alive(rows)]
            scores = queries @ self._base.vectors(rows.astype(np.int32)).T if len(rows) else None
            if scores is not None:
                every = np.concatenate([best[0], scores], axis=1)
                names = np.concatenate([best[1], np.tile(rows, (len(queries), 1))], axis=1)
                order = np.argsort(-every, axis=1, kind="stable")[:, :wanted]
                best = np.take_along_axis(every, order, 1), np.take_along_axis(names, order, 1)
        return best

    def _search_added(self, queries: Scores, k: int, left_out: Rows) -> tuple[Scores, Rows]:
        """Scores and added rows, (queries, at most k): -inf and -1 for what is left out."""
        scores = np.empty((len(queries), len(self._added)), np.float32)
        for start, block in self._added.blocks():
            np.vecdot(queries[:, None], block, out=scores[:, start : start + len(block)])
        scores[:, left_out - len(self._base)] = -np.inf
        if scores.shape[1] > k:
            places = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        else:
            places = np.tile(np.arange(scores.shape[1]), (len(queries), 1))
        scores = np.take_along_axis(scores, places, 1)
        return scores, np.where(np.isinf(scores), -1, places + len(self._base))


def _best(some: tuple[Scores, Rows], others: tuple[Scores, Rows], k: int) -> tuple[Scores, Rows]:
    """The k best of two results, all (queries, found)."""
    scores = np.concatenate([some[0], others[0]], axis=1)
    rows = np.concatenate([some[1], others[1]], axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)
