"""Interface of a vector store, which FAISS in this process and Milvus implement."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from index.arrays import Rows64, Scores
from index.vectors import checked

Found = tuple[Scores, Rows64]


class VectorStore(Protocol):
    """Embeddings of a fixed corpus, in rows numbered from 0, searched by inner product."""

    def __len__(self) -> int:
        """Number of items in the corpus."""

    @property
    def dimension(self) -> int:
        """Dimension of an embedding."""

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[Scores, Rows64]:
        """Scores and item rows, both (queries, k), best first; row -1 if fewer were found.

        Raises:
            ValueError: wrong shape, not finite, or k outside [1, items].
        """

    def search_among(
        self, query: NDArray[np.float32], k: int, allowed: BitMap
    ) -> tuple[Scores, Rows64]:
        """Scores and item rows, both (found,), best first: all allowed items, at most k.

        Raises:
            ValueError: wrong shape, not finite, k below 1, or a row outside the corpus.
        """

    def vectors(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """(rows, dimension): stored embeddings of some rows.

        Raises:
            ValueError: a row is outside the corpus.
        """


class TunableStore(VectorStore, Protocol):
    """A vector store that was just built and can be tuned and saved."""

    def set_operating_point(self, parameters: str) -> None:
        """Set the search parameters of all later searches.

        Raises:
            ValueError: there is no such parameter.
        """

    def save(self, folder: Path) -> None:
        """Write the files that loading needs."""


def checked_among(
    store: VectorStore,
    query: NDArray[np.float32],
    k: int,
    allowed: BitMap,
    search: Callable[[NDArray[np.float32], int], Found],
) -> Found:
    """Check the arguments of a search among allowed rows, then search.

    Args:
        store: Store to be searched.
        query: (dimension,) of unit length.
        k: Items wanted.
        allowed: Item rows to choose from; if there are none, `search` is not called.
        search: Returns scores and item rows for a query (1, dimension) and a k that is at most the
            number of allowed rows.

    Returns:
        Scores and item rows, both (found,).

    Raises:
        ValueError: wrong shape, not finite, k below 1, or a row outside the corpus.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    given = checked(query[None], store.dimension)
    if not allowed:
        return np.empty(0, np.float32), np.empty(0, np.int64)
    check_rows(allowed.min(), allowed.max(), len(store))
    return search(given, min(k, len(allowed)))


def check_k(k: int, items: int) -> None:
    """Raise unless k is at least 1 and at most the number of items."""
    if not 1 <= k <= items:
        raise ValueError(f"k must be in [1, {items}], got {k}")


def check_rows(least: int, most: int, items: int) -> None:
    """Raise unless all rows from `least` to `most` are in the corpus."""
    if least < 0 or most >= items:
        raise ValueError(f"rows must be in [0, {items}), got {least} to {most}")
