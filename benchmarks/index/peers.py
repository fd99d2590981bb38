"""Other nearest-neighbour libraries, searched with the least effort that reaches a recall."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Found = NDArray[np.int64]
Searcher = Callable[[NDArray[np.float32]], Found]
"""Item rows found for a query of shape (dimension,)."""
EFFORTS = (1, 1.5)
"""Factors of the efforts tried within each doubling."""


def hnswlib_points(vectors: NDArray[np.float32], k: int) -> Iterator[tuple[str, Searcher]]:
    """An hnswlib graph with M = 32, at growing `ef`."""
    import hnswlib

    graph = hnswlib.Index("ip", vectors.shape[1])
    graph.init_index(len(vectors), M=32, ef_construction=200)
    graph.add_items(vectors)  # uses all cores; searches use one

    def searcher(ef: int) -> Searcher:
        def search(query: NDArray[np.float32]) -> Found:
            graph.set_ef(ef)
            return graph.knn_query(query, k, num_threads=1)[0][0].astype(np.int64)  # type: ignore[no-any-return]

        return search

    for ef in _efforts(k, 4096):
        yield f"ef={ef}", searcher(ef)


def scann_points(vectors: NDArray[np.float32], k: int) -> Iterator[tuple[str, Searcher]]:
    """A ScaNN tree of 2 × √n leaves, quantised items and exact reordering, as its guide advises."""
    import scann

    leaves = round(2 * len(vectors) ** 0.5)
    tree = (
        scann.scann_ops_pybind.builder(vectors, k, "dot_product")
        .set_n_training_threads(1)
        .tree(leaves, 1, training_sample_size=64 * leaves)
        .score_ah(2, anisotropic_quantization_threshold=0.2)
        .reorder(k)
        .build()
    )

    def searcher(visited: int, reordered: int) -> Searcher:
        def search(query: NDArray[np.float32]) -> Found:
            rows, _ = tree.search(
                query, leaves_to_search=visited, pre_reorder_num_neighbors=reordered
            )
            return np.asarray(rows, dtype=np.int64)

        return search

    for reordered in (8 * k, 4 * k, 2 * k):
        for visited in _efforts(1, leaves):
            yield f"leaves={visited}, reordered={reordered}", searcher(visited, reordered)


PEERS: Mapping[str, Callable[[NDArray[np.float32], int], Iterator[tuple[str, Searcher]]]] = {
    "hnswlib": hnswlib_points,
    "scann": scann_points,
}


def reaching(
    points: Iterator[tuple[str, Searcher]],
    queries: NDArray[np.float32],
    truth: Found,
    recall: float,
) -> Sequence[tuple[str, float, Searcher]]:
    """Cheapest points that reach a recall, one for each setting of the other parameters.

    Args:
        points: Parameters, the growing effort first, and a searcher with them.
        queries: (queries, dimension)
        truth: (queries, k) item rows of exact search.
        recall: Recall to reach, against exact search.

    Returns:
        Parameters, recall and searcher.
    """
    cheapest: dict[str, tuple[str, float, Searcher]] = {}
    for parameters, search in points:
        others = parameters.partition(", ")[2]
        if others not in cheapest:
            reached = recall_of([search(query) for query in queries], truth)
            if reached >= recall:
                cheapest[others] = (parameters, reached, search)
    return list(cheapest.values())


def recall_of(found: Sequence[Found], truth: Found) -> float:
    """Mean recall over the queries, against exact search."""
    return float(np.mean([np.isin(a, b).mean() for a, b in zip(truth, found, strict=True)]))


def _efforts(least: int, most: int) -> Iterator[int]:
    effort = float(least)
    while round(effort) < most:
        for step in EFFORTS:
            if round(effort * step) < most:
                yield round(effort * step)
        effort *= 2
    yield most
