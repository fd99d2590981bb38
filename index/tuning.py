"""Tunes an index: finds the fastest operating point that reaches a target recall."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from index.config import Kind
from index.faiss_store.gpus import WIDEST, WIDEST_OF_GRAPH
from index.faiss_store.installation import load_faiss
from index.vector_store import TunableStore
from index.vectors import Vectors, blocks

K_FACTORS = (16, 8, 6, 4, 3, 2, 1)
"""Values of `k_factor_rf` to try: `ivf-pq` rescores this many times k items."""
ROUNDING = 1e-6
"""Difference of two equal inner products that were summed in another order."""
TIMED = 100
"""Number of queries whose latency is measured."""
FIRST_SEARCH, WIDEST_SEARCH = 64, 4096
"""Smallest and largest `ef_search` that are tried."""
EFFORTS = {"hnsw": "efSearch={}", "cagra": "efSearch={}", "milvus": "ef={}"}
"""The `ef_search` parameter of each kind of graph."""


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """Recall and latency of an index under some search parameters."""

    parameters: str
    """Search parameters in FAISS's words; empty for an exact index"""
    recall: float
    """Recall@k against exact search, mean over queries"""
    least_recall: float
    """`recall` minus two standard errors: a bound that holds for other queries, too"""
    milliseconds: float
    """Median latency of a single query on one thread, in ms"""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What exact search finds for some queries, to compare other searches with."""

    queries: NDArray[np.float32]
    """(queries, dimension) of unit length"""
    rows: NDArray[np.int64]
    """(queries, k) item rows, best first"""
    embeddings: Vectors
    """(items, dimension) of the whole corpus"""

    @classmethod
    def of(cls, queries: NDArray[np.float32], embeddings: Vectors, k: int) -> "Truth":
        """Search all embeddings for the k best of each query."""
        return cls(queries=queries, rows=nearest(queries, embeddings, k), embeddings=embeddings)

    def shares(self, found: NDArray[np.int64]) -> NDArray[np.float64]:
        """(queries,) recall of each query.

        An item that scores as high as the last one of exact search is as good as it, so it counts
        as found: which of equal items come first is chance.

        Args:
            found: (queries, k) item rows that a search found; -1 for none.
        """
        k = self.rows.shape[1]
        shares = np.zeros(len(found))
        for place, (query, exact, own) in enumerate(
            zip(self.queries, self.rows, found, strict=True)
        ):
            distinct = np.unique(own[own >= 0])
            same = np.isin(distinct, exact)
            others = distinct[~same]
            hits = int(same.sum())
            if len(others):
                least = float(np.min(self.embeddings[exact] @ query))
                hits += int((self.embeddings[others] @ query >= least - ROUNDING).sum())
            shares[place] = min(hits, k) / k
        return shares


def nearest(queries: NDArray[np.float32], embeddings: Vectors, k: int) -> NDArray[np.int64]:
    """(queries, k): item rows found by exact search, best first; reads embeddings in blocks."""
    faiss = load_faiss()
    best = faiss.ResultHeap(len(queries), k, keep_max=True)
    first = 0
    for block in blocks(embeddings, 0, len(embeddings)):
        scores, rows = faiss.knn(
            queries, block, min(k, len(block)), metric=faiss.METRIC_INNER_PRODUCT
        )
        best.add_result(scores, rows + first)
        first += len(block)
    best.finalize()
    found: NDArray[np.int64] = best.I
    return found


def measure(index: TunableStore, parameters: str, truth: Truth) -> OperatingPoint:
    """Measure one operating point; the index stays at it.

    Args:
        index: Index to search.
        parameters: Search parameters in FAISS's words.
        truth: Queries, and what exact search finds for them.

    Raises:
        ValueError: the index has no such parameter.
    """
    index.set_operating_point(parameters)
    k = truth.rows.shape[1]
    _, found = index.search(truth.queries, k)
    shares = truth.shares(found)
    seconds = []
    for query in truth.queries[:TIMED]:
        started = time.perf_counter()
        index.search(query[None], k)
        seconds.append(time.perf_counter() - started)
    recall = float(np.mean(shares))
    return OperatingPoint(
        parameters=parameters,
        recall=recall,
        least_recall=recall - 2 * float(np.std(shares)) / len(shares) ** 0.5,
        milliseconds=1e3 * float(np.median(seconds)),
    )


def explore(
    look: Callable[[str], OperatingPoint], kind: Kind, *, most: int, target: float
) -> list[OperatingPoint]:
    """Measure operating points of rising effort until the least effort that reaches a recall.

    Args:
        look: Measures the index under given parameters.
        kind: Kind of the index.
        most: Its number of inverted lists, or the largest `ef_search` of a graph.
        target: Recall to reach.

    Returns:
        All operating points measured.
    """

    def rise(parameters: str, fastest: float = np.inf) -> list[OperatingPoint]:
        efforts = (FIRST_SEARCH if kind in EFFORTS else 1, most)
        return _rise(lambda n: look(parameters.format(n)), *efforts, target, fastest)

    if kind == "exact":
        return [look("")]
    if kind != "ivf-pq":
        return rise(EFFORTS.get(kind, "nprobe={}"))
    points: list[OperatingPoint] = []
    for factor in K_FACTORS:
        fastest = min((point.milliseconds for point in reaching(points, target)), default=np.inf)
        points += rise(f"nprobe={{}},k_factor_rf={factor}", fastest)
    return points


def widest_effort(kind: Kind, lists: int, *, on_gpu: bool) -> int:
    """Largest effort that `explore` may try: `nprobe`, or `ef_search` of a graph.

    Args:
        kind: Kind of the index.
        lists: Number of inverted lists.
        on_gpu: Whether the index is tuned on a GPU, which limits both.
    """
    if kind == "cagra":
        return WIDEST_OF_GRAPH
    if kind in EFFORTS:
        return WIDEST_SEARCH
    return min(lists, WIDEST) if on_gpu else lists


def reaching(points: Sequence[OperatingPoint], target: float) -> list[OperatingPoint]:
    """Operating points whose `least_recall` reaches a target, fastest first."""
    enough = [point for point in points if point.least_recall >= target]
    return sorted(enough, key=lambda point: point.milliseconds)


def _rise(
    look: Callable[[int], OperatingPoint], least: int, most: int, target: float, fastest: float
) -> list[OperatingPoint]:
    """Double the effort until the target is reached, then bisect to the least such effort.

    Args:
        look: Measures the index at an effort.
        least: Effort to begin with.
        most: Largest effort.
        target: Recall to reach.
        fastest: Latency in ms at which to give up, because another point is faster.
    """
    low, high = 0, min(least, most)
    points = [look(high)]
    while points[-1].least_recall < target:
        if high == most or points[-1].milliseconds >= fastest:
            return points
        low, high = high, min(2 * high, most)
        points.append(look(high))
    while high - low > max(1, high // 8):
        middle = (low + high) // 2
        points.append(look(middle))
        low, high = (low, middle) if points[-1].least_recall >= target else (middle, high)
    return points
