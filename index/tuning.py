"""How hard an index must look: the fastest operating point that reaches a recall."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from index.faiss_store.build import Kind
from index.faiss_store.gpus import WIDEST, WIDEST_OF_GRAPH
from index.faiss_store.installation import load_faiss
from index.vector_store import TunableStore
from index.vectors import Vectors, blocks

K_FACTORS = (16, 8, 6, 4, 3, 2, 1)
"""How many times k items `ivf-pq` compares with whole vectors."""
TIMED = 100
"""Queries that a latency is measured over."""
FIRST_SEARCH, WIDEST_SEARCH = 64, 4096
"""Least and largest effort in a graph that are tried."""
EFFORTS = {"hnsw": "efSearch={}", "cagra": "efSearch={}", "milvus": "ef={}"}
"""What a graph calls it, by kind."""


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """What an index recalls, and how fast, under some parameters."""

    parameters: str
    """In FAISS's words; empty where there are none"""
    recall: float
    """Share of exact search's first k, mean over queries"""
    least_recall: float
    """Two standard errors less: what other queries find too"""
    milliseconds: float
    """Median of one query at a time, by one thread"""


def nearest(queries: NDArray[np.float32], embeddings: Vectors, k: int) -> NDArray[np.int64]:
    """(queries, k): item rows of exact search, best first; reads the embeddings in blocks."""
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


def measure(
    index: TunableStore, parameters: str, queries: NDArray[np.float32], truth: NDArray[np.int64]
) -> OperatingPoint:
    """Look at one operating point, at which the index is left.

    Args:
        index: To be searched.
        parameters: In FAISS's words.
        queries: (queries, dimension) of unit length.
        truth: (queries, k) item rows of exact search.

    Raises:
        ValueError: the index has no such parameter.
    """
    index.set_operating_point(parameters)
    k = truth.shape[1]
    _, found = index.search(queries, k)
    shares = [np.isin(a, b).mean() for a, b in zip(truth, found, strict=True)]
    seconds = []
    for query in queries[:TIMED]:
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
    """Look at operating points up to the least effort that reaches a recall.

    Args:
        look: Measures an index under some parameters.
        kind: Of the index.
        most: Its inverted lists, or the widest search of a graph.
        target: Recall to reach.
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
    """Most that `explore` may ask of an index: of inverted lists, or of candidates in a graph.

    Args:
        kind: Of the index.
        lists: Its inverted lists.
        on_gpu: Whether it is tuned on a GPU, which has limits.
    """
    if kind == "cagra":
        return WIDEST_OF_GRAPH
    if kind in EFFORTS:
        return WIDEST_SEARCH
    return min(lists, WIDEST) if on_gpu else lists


def reaching(points: Sequence[OperatingPoint], target: float) -> list[OperatingPoint]:
    """Those that reach a recall on other queries, too, fastest first."""
    enough = [point for point in points if point.least_recall >= target]
    return sorted(enough, key=lambda point: point.milliseconds)


def _rise(
    look: Callable[[int], OperatingPoint], least: int, most: int, target: float, fastest: float
) -> list[OperatingPoint]:
    """Double the effort until the target is reached, then close in on the least that does.

    Args:
        look: Measures an effort.
        least: Effort to begin with.
        most: Largest effort.
        target: Recall to reach.
        fastest: Milliseconds at which to give up.
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
