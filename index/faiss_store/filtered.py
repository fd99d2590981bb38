"""Search among some of the items: looks ever further until that changes nothing, or compares all.

FAISS's selectors of rows work on the CPU alone, and each kind of index takes its own parameters or
ignores them without a word; so what is found is checked, whoever found it.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.faiss_store.installation import load_faiss
from index.vector_store import Found

SCANNED = 25_000
"""Items that are all compared rather than searched."""
AGREED = 0.98
"""Share of what was found that must be found again by looking further."""
FURTHER = 4
"""How many times as far the next search looks."""
VISITED_PER_RESULT = 8
"""Fitting items that a search of inverted lists looks at first, at least, for every one wanted."""
LEAST_SHARE = 4
"""Once one in so many of the fitting items would be compared as a whole vector, all of them are."""
LINKS_VISITED = 32
"""Items that a step through a graph compares."""


class FilteredSearch:
    """Searches one FAISS index on the CPU among given rows."""

    def __init__(self, index: Any) -> None:
        faiss = self._faiss = load_faiss()
        self._index = faiss.downcast_index(index)
        self._refined = isinstance(self._index, faiss.IndexRefine)
        self._graph = isinstance(self._index, faiss.IndexHNSW)
        self._ivf = faiss.try_extract_index_ivf(self._index)
        self._list_of = np.empty(0, np.int32) if self._ivf is None else self._lists_of_rows()

    def search(self, query: NDArray[np.float32], k: int, rows: NDArray[np.int64]) -> Found:
        """Find the items of largest inner product among some.

        Args:
            query: (1, dimension) of unit length.
            k: Items wanted, at most as many as there are rows.
            rows: Item rows to choose from, ascending.

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
            whole = bool((found >= 0).all() and fits[found].all())
            if whole and before is not None and _shared(before, found) >= AGREED * k:
                return scores[0], found[0]
            before = found if whole else None
        return self._scanned(query, k, rows, selector)

    def _efforts(
        self, query: NDArray[np.float32], k: int, rows: NDArray[np.int64], selector: Any
    ) -> Iterator[Any]:
        """Parameters of searches that look ever further; none where scanning is faster."""
        if len(rows) <= SCANNED:
            return
        if self._graph:
            yield from self._of_graph(k, len(rows), selector)
        elif self._ivf is not None:
            yield from self._of_lists(query, k, rows, selector)

    def _of_graph(self, k: int, size: int, selector: Any) -> Iterator[Any]:
        """A graph is walked over all items, so that the rarer those that fit, the further."""
        share = size / self._index.ntotal
        steps = int(max(self._index.hnsw.efSearch, k) / share)
        while FURTHER * LINKS_VISITED * steps < size:
            for effort in (steps, FURTHER * steps):
                yield self._faiss.SearchParametersHNSW(efSearch=effort, sel=selector)
            steps *= FURTHER**2

    def _of_lists(
        self, query: NDArray[np.float32], k: int, rows: NDArray[np.int64], selector: Any
    ) -> Iterator[Any]:
        """Lists are visited until they hold enough of the items that fit."""
        faiss, lists = self._faiss, self._ivf.nlist
        _, order = self._ivf.quantizer.search(query, lists)
        held = np.cumsum(np.bincount(self._list_of[rows], minlength=lists)[order[0]])
        usual = self._index.ntotal * self._ivf.nprobe // lists
        goal = 2 * max(usual, VISITED_PER_RESULT * k)
        factor, dearer = (self._index.k_factor, 2) if self._refined else (0, FURTHER)
        compared = LEAST_SHARE * factor * k if self._refined else goal
        if FURTHER * compared >= len(rows):  # the second search would be the dearer one
            return
        while compared < len(rows):
            visited = min(1 + int(np.searchsorted(held, goal)), lists)
            parameters = faiss.SearchParametersIVF(nprobe=visited, sel=selector)
            if self._refined:
                parameters = faiss.IndexRefineSearchParameters(
                    k_factor=factor, base_index_params=parameters
                )
            yield parameters
            goal, factor, compared = FURTHER * goal, 2 * factor, dearer * compared

    def _scanned(
        self, query: NDArray[np.float32], k: int, rows: NDArray[np.int64], selector: Any
    ) -> Found:
        """Compare all of them as they are stored."""
        faiss, whole = self._faiss, self._index
        if self._refined:
            whole = whole.refine_index
        elif self._graph:
            whole = whole.storage
        whole = faiss.downcast_index(whole)
        if isinstance(whole, faiss.IndexFlat):
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorArray(rows))
        elif self._ivf is not None and not self._refined:
            parameters = faiss.SearchParametersIVF(nprobe=self._ivf.nlist, sel=selector)
        else:
            parameters = faiss.SearchParameters(sel=selector)
        scores, found = whole.search(query, k, params=parameters)
        return scores[0], found[0]

    def _lists_of_rows(self) -> NDArray[np.int32]:
        """(items,): the inverted list of every item."""
        lists, owners = self._ivf.invlists, np.empty(self._index.ntotal, np.int32)
        for number in range(self._ivf.nlist):
            if size := lists.list_size(number):
                ids = lists.get_ids(number)
                owners[self._faiss.rev_swig_ptr(ids, size)] = number
                lists.release_ids(number, ids)
        return owners


def _shared(one: NDArray[np.int64], other: NDArray[np.int64]) -> int:
    return len(np.intersect1d(one, other))
