"""The FAISS vector store: searches item rows by inner product, on a GPU if there is one."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from dataset.postings import rows_of
from index.config import GPUs
from index.faiss_store.filtered import FilteredSearch
from index.faiss_store.gpus import GpuIndex, on_gpus, warn_cpu_fallback
from index.faiss_store.installation import load_faiss
from index.vector_store import Found, check_k, check_rows, checked_among
from index.vectors import checked
from lineage.manifest import CorruptArtifactError, command
from lineage.stages import FAISS_INDEX

MOST = 0.75
"""If at least this share of items is allowed, the filter is applied after the search."""
FEW = 32
"""For fewer queries, torch's exact search is faster than FAISS's: for one query, twice as fast."""
MOST_SCORES = 16 << 20
"""Most scores, queries × items, that torch may hold at once"""


class FaissStore:
    """Finds the item rows nearest to an embedding. Knows nothing of item ids or users."""

    def __init__(self, index: Any, gpus: GPUs = "auto") -> None:
        """Wrap a FAISS index on the CPU, and copy it to the GPUs if possible."""
        self._faiss = load_faiss()
        self._stored = index
        self._on_gpus: GpuIndex | None = on_gpus(index, gpus)

    def __len__(self) -> int:
        return int(self._stored.ntotal)

    @property
    def dimension(self) -> int:
        """Dimension of an embedding."""
        return int(self._stored.d)

    def search(
        self, queries: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the k items of largest inner product.

        Args:
            queries: (queries, dimension) unit-length embeddings.
            k: Items per query.

        Returns:
            Scores and item rows, both (queries, k), best first; row -1 if the visited lists hold
            fewer than k items.

        Raises:
            ValueError: wrong shape, not finite, or k outside [1, items].
        """
        check_k(k, len(self))
        given = checked(queries, self.dimension)
        if self._on_gpus is not None and k <= self._on_gpus.widest:
            try:
                return self._on_gpus.search(given, k)
            except RuntimeError as error:
                warn_cpu_fallback(error)
        few = len(given) < FEW and len(given) * len(self) <= MOST_SCORES
        if few and self._exact is not None:
            return self._exact(given, k)
        if len(given) > 1:
            scores, rows = self._stored.search(given, k)
            return scores, rows
        return self._on_one_thread(lambda: self._stored.search(given, k))

    @cached_property
    def _exact(self) -> Callable[[NDArray[np.float32], int], Found] | None:
        """Exact search for few queries by torch; None unless the index is exact."""
        if not isinstance(self._stored, self._faiss.IndexFlat):
            return None
        from index.faiss_store.torch_exact import ExactSearch

        flat = self._faiss.rev_swig_ptr(self._stored.get_xb(), len(self) * self.dimension)
        return ExactSearch(flat.reshape(len(self), self.dimension)).search

    def search_among(
        self, query: NDArray[np.float32], k: int, allowed: BitMap
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the k items of largest inner product among allowed rows, on a single thread.

        If most rows are allowed, searches for more than k and drops the others. If that finds too
        few, searches the index on the CPU with a row selector or compares all allowed rows.

        Args:
            query: (dimension,) of unit length.
            k: Items wanted, at least 1.
            allowed: Item rows to choose from.

        Returns:
            Scores and item rows, both (found,), best first: all allowed items, at most k.

        Raises:
            ValueError: wrong shape, not finite, k below 1, or a row outside the corpus.
        """
        return checked_among(
            self, query, k, allowed, lambda given, most: self._among(given, most, allowed)
        )

    def _among(self, query: NDArray[np.float32], k: int, allowed: BitMap) -> Found:
        size = len(allowed)
        if size >= MOST * len(self):
            more = k + min(len(self) - size, k)
            if self._on_gpus is None or more <= self._on_gpus.widest:
                scores, rows = self.search(query, more)
                places = [place for place, row in enumerate(rows[0].tolist()) if row in allowed][:k]
                if len(places) == k:
                    return scores[0][places], rows[0][places]
        return self._on_one_thread(lambda: self._filtered.search(query, k, rows_of(allowed)))

    @cached_property
    def _filtered(self) -> FilteredSearch:
        return FilteredSearch(self._stored)

    def _on_one_thread(self, search: Callable[[], Found]) -> Found:
        """Run the search of a single query, which more threads would only slow down."""
        threads = self._faiss.omp_get_max_threads()
        self._faiss.omp_set_num_threads(1)
        try:
            return search()
        finally:
            self._faiss.omp_set_num_threads(threads)

    def vectors(self, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """(rows, dimension): stored embeddings of some rows.

        Raises:
            ValueError: a row is outside the corpus.
        """
        if len(rows):
            check_rows(int(rows.min()), int(rows.max()), len(self))
        found: NDArray[np.float32] = self._stored.reconstruct_batch(rows.astype(np.int64))
        return found

    def set_operating_point(self, parameters: str) -> None:
        """Set the search parameters of all later searches; they are saved with the index.

        Args:
            parameters: Search parameters in FAISS's words, such as `nprobe=32,k_factor_rf=4`; empty
                changes nothing.

        Raises:
            ValueError: the index has no such parameter.
        """
        try:
            self._faiss.ParameterSpace().set_index_parameters(self._stored, parameters)
        except RuntimeError as error:
            raise ValueError(
                f"operating_point must be parameters of the index, got {parameters!r}"
            ) from error
        if self._on_gpus is None:
            return
        try:
            self._on_gpus.set_operating_point(parameters)
        except RuntimeError as error:
            warn_cpu_fallback(error)
            self._on_gpus = None

    def save(self, folder: Path) -> None:
        """Write the index on the CPU.

        Raises:
            OSError: the file cannot be written, for instance because the disk is full.
        """
        write(self._stored, folder / FAISS_INDEX)

    @classmethod
    def load(cls, folder: Path, gpus: GPUs = "auto") -> "FaissStore":
        """Read an index.

        Args:
            folder: Folder of the index stage.
            gpus: How the GPUs that FAISS sees share its searches.

        Raises:
            CorruptArtifactError: the file is missing or unreadable; names the command that makes it
                again.
        """
        faiss = load_faiss()
        # lists on disk lie next to the index, and the files of a release are read-only
        flags = faiss.IO_FLAG_ONDISK_SAME_DIR | faiss.IO_FLAG_READ_ONLY
        try:
            index = faiss.read_index(str(folder / FAISS_INDEX), flags)
        except RuntimeError as error:
            raise CorruptArtifactError(
                f"{folder / FAISS_INDEX} is not a readable index; make it again with "
                f"`{command(folder, 'index')}`"
            ) from error
        return cls(index, gpus)


def write(index: Any, path: Path) -> None:
    """Write a FAISS index through Python, which reports a disk that is full at the last bytes.

    Raises:
        OSError: the file cannot be written.
    """
    faiss = load_faiss()
    with path.open("wb") as file:
        faiss.write_index(index, faiss.PyCallbackIOWriter(file.write))
