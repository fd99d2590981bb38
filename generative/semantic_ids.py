"""Semantic ids: residual quantisation of the items' embeddings into a few codes each."""

from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from index.arrays import Scores

ITERATIONS = 25
"""Iterations of k-means for each level"""
Codes = NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class SemanticIds:
    """The codes of all items, and the centroids that stand for them."""

    codes: Codes
    """(items, levels + 1) codes from 0, coarse to fine; the last one tells equal items apart"""
    centroids: tuple[Scores, ...]
    """Of each level but the last, (codes, width): what a code adds to an item's vector"""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of codes of each level."""
        return (*(len(level) for level in self.centroids), int(self.codes[:, -1].max()) + 1)


def learn_semantic_ids(
    vectors: Scores, *, levels: int, size: int, popularity: NDArray[np.float64], seed: int
) -> SemanticIds:
    """Codes by k-means of the vectors, then of what the centroids leave, level by level.

    Args:
        vectors: (items, width) at least one.
        levels: Levels of k-means.
        size: Most codes of a level.
        popularity: (items,) purchases; of items with equal codes the most popular is the first.
        seed: Seed of k-means.

    Source: Rajput et al., "Recommender systems with generative retrieval", NeurIPS 2023. Their
    RQ-VAE is trained; here each level is k-means of what the levels before it left.
    """
    left = np.ascontiguousarray(vectors, np.float32)
    codes, centroids = [], []
    for level in range(levels):
        means = _centroids(left, size, seed + level)
        _, nearest = faiss.knn(left, means, 1)
        used, numbers = np.unique(
            nearest[:, 0], return_inverse=True
        )  # some may be nobody's nearest
        codes.append(numbers.astype(np.int32))
        centroids.append(means[used])
        left = left - means[nearest[:, 0]]
    return SemanticIds(
        codes=np.stack([*codes, _numbers_of_equals(np.stack(codes, 1), popularity)], 1),
        centroids=tuple(centroids),
    )


def _centroids(vectors: Scores, size: int, seed: int) -> Scores:
    """(at most `size`, width) centroids; the vectors themselves if they are that few."""
    distinct = np.unique(vectors, axis=0)
    if len(distinct) <= size:
        return distinct
    clustering = faiss.Kmeans(
        vectors.shape[1],
        size,
        niter=ITERATIONS,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=256,
    )
    clustering.train(vectors)
    assert clustering.centroids is not None
    means: Scores = clustering.centroids
    return means


def _numbers_of_equals(codes: Codes, popularity: NDArray[np.float64]) -> Codes:
    """(items,) number of each item among those of the same codes, the most popular first."""
    order = np.lexsort((-popularity, *codes.T[::-1]))
    changes = np.any(np.diff(codes[order], axis=0, prepend=-1) != 0, axis=1)
    starts = np.flatnonzero(changes)
    numbers = np.arange(len(codes)) - np.repeat(starts, np.diff(np.append(starts, len(codes))))
    found = np.empty(len(codes), np.int32)
    found[order] = numbers
    return found


def reduced(vectors: Scores, width: int) -> Scores:
    """(items, width) principal components of vectors, of length 1 in the root mean square.

    Vectors of fewer dimensions are filled up with zeros.
    """
    centred = vectors - vectors.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    components = centred @ directions[:, ::-1][:, :width]
    scale = np.sqrt(np.mean(np.sum(components**2, axis=1)))
    filled = np.zeros((len(vectors), width), np.float32)
    filled[:, : components.shape[1]] = components / max(float(scale), 1e-12)
    return filled
