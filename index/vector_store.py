"""What holds the items' embeddings and finds the nearest: FAISS in this process, or Milvus."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from index.vectors import checked

Found = tuple[NDArray[np.float32], NDArray[np.int64]]


class VectorStore(Protocol):
    """Embeddings of a corpus that never changes, numbered from 0, searched by inner product."""

    def __len__(self) -> int:
        """Items of the corpus."""

    @property
    def dimension(self) -> int:
        """Length of an embedding."""

    def search(
        self, queries: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and item rows, both (queries, k), best first; row -1 where fewer were found.

        Raises:
            ValueError: wrong shape, not finite, or k outside 1 and the corpus.
        """

    def search_among(
        self, query: NDArray[np.float32], k: int, allowed: BitMap
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and item rows, both (found,): as many as are allowed, at most k.

        Raises:
            ValueError: wrong shape, not finite, k below 1, or a row that is not in the corpus.
        """

    def vectors(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """(rows, dimension): the stored embeddings of some rows.

        Raises:
            ValueError: a row is not in the corpus.
        """


class TunableStore(VectorStore, Protocol):
    """One that was just built."""

    def set_operating_point(self, parameters: str) -> None:
        """Decide how hard every search looks.

        Raises:
            ValueError: there is no such parameter.
        """

    def save(self, folder: Path) -> None:
        """Write what loading it again needs."""


def checked_among(
    store: VectorStore,
    query: NDArray[np.float32],
    k: int,
    allowed: BitMap,
    search: Callable[[NDArray[np.float32], int], Found],
) -> Found:
    """Search among some rows once it is clear that there are any, and that all are there.

    Args:
        store: Whose rows they are.
        query: (dimension,) of unit length.
        k: Items wanted.
        allowed: Item rows to choose from.
        search: Scores and item rows for a query (1, dimension) and a k of at most as many as are
            allowed.

    Raises:
        ValueError: wrong shape, not finite, k below 1, or a row that is not in the corpus.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    given = checked(query[None], store.dimension)
    if not allowed:
        return np.empty(0, np.float32), np.empty(0, np.int64)
    check_rows(allowed.min(), allowed.max(), len(store))
    return search(given, min(k, len(allowed)))


def check_k(k: int, items: int) -> None:
    """Refuse a search for no item, or for more than there are."""
    if not 1 <= k <= items:
        raise ValueError(f"k must be within 1 and the corpus of {items}, got {k}")


def check_rows(least: int, most: int, items: int) -> None:
    """Refuse rows that are not in the corpus."""
    if least < 0 or most >= items:
        raise ValueError(f"rows must be of the corpus of {items}, got {least} to {most}")
