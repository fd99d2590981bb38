"""Exact search by inner product: what approximate search is measured against."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BLOCK = 512
SEED = 20


def exact_search(
    queries: NDArray[np.float32],
    corpus: NDArray[np.float32],
    k: int,
    *,
    exclude: Sequence[NDArray[np.integer]] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Find the k rows of largest inner product; equal scores stand in a seeded random order.

    Args:
        queries: (queries, dim)
        corpus: (items, dim)
        k: Rows a query.
        exclude: Rows to leave out, a query each.

    Returns:
        Scores and rows, both (queries, k), best first; -inf and -1 where fewer than k remain.
    """
    shuffled = np.random.default_rng(SEED).permutation(len(corpus)).astype(np.int32)
    place = np.argsort(shuffled)
    columns = np.ascontiguousarray(corpus[shuffled].T)
    size = min(k, len(corpus))
    scores = np.full((len(queries), k), -np.inf, np.float32)
    rows = np.full((len(queries), k), -1, np.int32)
    for start in range(0, len(queries), BLOCK):
        block = queries[start : start + BLOCK] @ columns
        for user in range(len(block)) if exclude is not None else ():
            block[user, place[exclude[start + user]]] = -np.inf
        top = np.argpartition(-block, size - 1, axis=1)[:, :size]
        top.sort(axis=1)
        values = np.take_along_axis(block, top, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        values = np.take_along_axis(values, order, axis=1)
        found = shuffled[np.take_along_axis(top, order, axis=1)]
        stop = start + len(block)
        scores[start:stop, :size] = values
        rows[start:stop, :size] = np.where(np.isneginf(values), -1, found)
    return scores, rows
