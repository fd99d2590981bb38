"""The index itself: rows inside, searched by inner product, on a GPU where there is one."""

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.config import IndexConfig
from index.installation import gpu_count, load_faiss

logger = logging.getLogger(__name__)
FILE = "index.faiss"
TRAINING_POINTS_PER_LIST = 64
UNIT_TOLERANCE = 1e-2


class ItemIndex:
    """Finds the nearest item rows of an embedding. Knows nothing of item ids or users."""

    def __init__(self, index: Any, *, gpu: bool = False) -> None:
        """Wrap a FAISS index; with `gpu`, its copy on the first GPU is searched."""
        self._faiss = load_faiss()
        self._stored = index
        self._searched = index
        if gpu:
            resources = self._faiss.StandardGpuResources()
            self._searched = self._faiss.index_cpu_to_gpu(resources, 0, index)

    def __len__(self) -> int:
        return int(self._stored.ntotal)

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return int(self._stored.d)

    def search(
        self, queries: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the k items of largest inner product.

        Args:
            queries: (queries, dimension) unit-length embeddings.
            k: Items a query.

        Returns:
            Scores and item rows, both (queries, k), best first; row -1 where the lists that were
            visited hold fewer than k items.

        Raises:
            ValueError: wrong shape, not finite, or k outside 1 and the corpus.
        """
        if not 1 <= k <= len(self):
            raise ValueError(f"k must be within 1 and the corpus of {len(self)}, got {k}")
        scores, rows = self._searched.search(checked(queries, self.dimension), k)
        return scores, rows

    def vectors(self, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """(rows, dimension): the stored embeddings of some rows."""
        found: NDArray[np.float32] = self._stored.reconstruct_batch(rows.astype(np.int64))
        return found

    def save(self, folder: Path) -> None:
        """Write the CPU form."""
        self._faiss.write_index(self._stored, str(folder / FILE))

    @classmethod
    def load(cls, folder: Path) -> "ItemIndex":
        """Read an index; it is searched on a GPU where FAISS sees one."""
        return cls(load_faiss().read_index(str(folder / FILE)), gpu=gpu_count() > 0)


def build_index(embeddings: NDArray[np.float32], config: IndexConfig) -> ItemIndex:
    """Build an exact or an IVF index over item embeddings; position i becomes row i.

    Raises:
        ValueError: empty, wrong shape, not finite or not of unit length.
    """
    faiss = load_faiss()
    vectors = checked(embeddings, None)
    lengths = np.linalg.norm(vectors, axis=1)
    if np.abs(lengths - 1).max() > UNIT_TOLERANCE:
        worst = int(np.abs(lengths - 1).argmax())
        raise ValueError(f"embeddings must have length 1, got {lengths[worst]:.3f} in row {worst}")
    items, dimension = vectors.shape
    if config.is_exact(items):
        index = faiss.IndexFlatIP(dimension)
    else:
        nlist = min(config.nlist or round(4 * math.sqrt(items)), items)
        index = faiss.index_factory(dimension, f"IVF{nlist},SQfp16", faiss.METRIC_INNER_PRODUCT)
        index.nprobe = min(config.nprobe, nlist)
        sample = np.random.default_rng(0).permutation(items)[: nlist * TRAINING_POINTS_PER_LIST]
        index.cp.min_points_per_centroid = 1
        index.train(vectors[np.sort(sample)])
        index.make_direct_map()
    index.add(vectors)
    return ItemIndex(index)


def checked(vectors: NDArray[np.float32], dimension: int | None) -> NDArray[np.float32]:
    """What FAISS may be given: 2-d, C-contiguous float32, finite, of the right dimension.

    Raises:
        ValueError: names the rule that is broken.
    """
    if vectors.ndim != 2 or vectors.size == 0:
        raise ValueError(f"vectors must be (n, dimension) and not empty, got shape {vectors.shape}")
    if dimension is not None and vectors.shape[1] != dimension:
        raise ValueError(f"vectors must have dimension {dimension}, got {vectors.shape[1]}")
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise ValueError(f"vectors must be finite, got NaN or infinity in row {row}")
    return np.ascontiguousarray(vectors, dtype=np.float32)
