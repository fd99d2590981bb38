"""Search among allowed rows: raises the effort until results are stable, or compares all rows.

FAISS's row selectors work on the CPU only. Each kind of index has its own class of search
parameters and silently ignores others, so every result is checked against the allowed rows.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.faiss_store.installation import load_faiss
from index.vector_store import Found

SCANNED = 25_000
"""Up to this many allowed items, all are compared instead of searched."""
AGREED = 0.98
"""Share of a result that the next, wider search must find again."""
FURTHER = 4
"""Factor by which the effort rises from one search to the next."""
VISITED_PER_RESULT = 8
"""Allowed items that the first search of inverted lists visits per wanted item, at least."""
LEAST_SHARE = 4
"""If rescoring would read more than one in this many allowed items, all of them are compared."""
LINKS_VISITED = 32
"""Items compared at each step through a graph."""


class FilteredSearch:
    """Searches a FAISS index on the CPU among allowed rows."""

    def __init__(self, index: Any) -> None:
        faiss = self._faiss = load_faiss()
        self._index = faiss.downcast_index(index)
        self._refined = isinstance(self._index, faiss.IndexRefine)
        self._graph = isinstance(self._index, faiss.IndexHNSW)
        self._ivf = faiss.try_extract_index_ivf(self._index)
        self._list_of = np.empty(0, np.int32) if self._ivf is None else self._lists_of_rows()

    def search(self, query: NDArray[np.float32], k: int, rows: NDArray[np.int64]) -> Found:
        """Find the k items of largest inner product among allowed rows.

        Args:
            query: (1, dimension) of unit length.
            k: Items wanted, at most the number of rows.
            rows: Allowed item rows, ascending.

        Returns:
            Scores and item rows, both (k,), best first.
        """
        fits = np.zeros(self._index.ntotal, bool)
        fits[rows] = True
        bits = np.packbits(fits, bitorder="little")
        selector = self._faiss.IDSelectorBitmap(bits)
        before: NDArray[np.int64] | None = None
        for parameters in self._efforts(query, k, rows, selector):
            scores, found = self._index.search(query, k, params=parameters)
            valid = bool((found >= 0).all() and fits[found].all())
            if valid and before is not None and _shared(before, found) >= AGREED * k:
                return scores[0], found[0]
            before = found if valid else None
        return self._scanned(query, k, rows, selector)

    def _efforts(
        self, query: NDArray[np.float32], k: int, rows: NDArray[np.int64], selector: Any
    ) -> Iterator[Any]:
        """Search parameters of rising effort; none if comparing all rows is faster."""
        if len(rows) <= SCANNED:
            return
        if self._graph:
            yield from self._graph_efforts(k, len(rows), selector)
        elif self._ivf is not None:
            yield from self._list_efforts(query, k, rows, selector)

    def _graph_efforts(self, k: int, size: int, selector: Any) -> Iterator[Any]:
        """Efforts in a graph; walks pass all items, so rarer allowed items need longer walks."""
        share = size / self._index.ntotal
        steps = int(max(self._index.hnsw.efSearch, k) / share)
        while FURTHER * LINKS_VISITED * steps < size:
            for effort in (steps, FURTHER * steps):
                yield self._faiss.SearchParametersHNSW(efSearch=effort, sel=selector)
            steps *= FURTHER**2

    def _list_efforts(
        self, query: NDArray[np.float32], k: int, rows: NDArray[np.int64], selector: Any
    ) -> Iterator[Any]:
        """Efforts in inverted lists: visit the nearest lists that hold enough allowed items."""
        faiss, lists = self._faiss, self._ivf.nlist
        _, order = self._ivf.quantizer.search(query, lists)
        covered = np.cumsum(np.bincount(self._list_of[rows], minlength=lists)[order[0]])
        usual = self._index.ntotal * self._ivf.nprobe // lists
        goal = 2 * max(usual, VISITED_PER_RESULT * k)
        factor, growth = (self._index.k_factor, 2) if self._refined else (0, FURTHER)
        compared = LEAST_SHARE * factor * k if self._refined else goal
        if FURTHER * compared >= len(rows):  # the second search would cost more than a full scan
            return
        while compared < len(rows):
            visited = min(1 + int(np.searchsorted(covered, goal)), lists)
            parameters = faiss.SearchParametersIVF(nprobe=visited, sel=selector)
            if self._refined:
                parameters = faiss.IndexRefineSearchParameters(
                    k_factor=factor, base_index_params=parameters
                )
            yield parameters
            goal, factor, compared = FURTHER * goal, 2 * factor, growth * compared

    def _scanned(
        self, query: NDArray[np.float32], k: int, rows: NDArray[np.int64], selector: Any
    ) -> Found:
        """Compare the query with all allowed vectors, in the form in which they are stored."""
        faiss, vectors = self._faiss, self._index
        if self._refined:
            vectors = vectors.refine_index
        elif self._graph:
            vectors = vectors.storage
        vectors = faiss.downcast_index(vectors)
        if isinstance(vectors, faiss.IndexFlat):
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorArray(rows))
        elif self._ivf is not None and not self._refined:
            parameters = faiss.SearchParametersIVF(nprobe=self._ivf.nlist, sel=selector)
        else:
            parameters = faiss.SearchParameters(sel=selector)
        scores, found = vectors.search(query, k, params=parameters)
        return scores[0], found[0]

    def _lists_of_rows(self) -> NDArray[np.int32]:
        """(items,): number of the inverted list that holds each item."""
        lists, owners = self._ivf.invlists, np.empty(self._index.ntotal, np.int32)
        for number in range(self._ivf.nlist):
            if size := lists.list_size(number):
                ids = lists.get_ids(number)
                owners[self._faiss.rev_swig_ptr(ids, size)] = number
                lists.release_ids(number, ids)
        return owners


def _shared(one: NDArray[np.int64], other: NDArray[np.int64]) -> int:
    return len(np.intersect1d(one, other))
