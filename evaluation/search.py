"""Exact search, which gives the true results that an index is measured against."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import Rows

BLOCK = 1 << 23
"""Scores in memory at once."""


def exact_search(
    queries: NDArray[np.floating[Any]],
    corpus: NDArray[np.floating[Any]],
    k: int,
    exclude: Sequence[Rows] | None = None,
    *,
    seed: int = 0,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Items of largest inner product with each query, by comparing all items.

    Args:
        queries: (n, dim) embeddings.
        corpus: (m, dim) embeddings of the items.
        k: Items per query.
        exclude: Item rows to leave out, one array per query.
        seed: Seed of the random order among equal scores, so that row numbers do not decide it.

    Returns:
        Scores (n, k), best first, -inf if missing, and item rows (n, k), -1 if missing.

    Raises:
        ValueError: the shapes disagree, or a number is not finite.
    """
    _require_vectors(queries, corpus)
    if exclude is not None and len(exclude) != len(queries):
        raise ValueError(f"exclude must have {len(queries)} arrays, got {len(exclude)}")
    found, scores = np.empty((len(queries), k), np.int32), np.empty((len(queries), k), np.float32)
    preference = np.random.default_rng(seed).permutation(len(corpus))
    step = max(1, BLOCK // len(corpus))
    for start in range(0, len(queries), step):
        block = slice(start, start + step)
        product = (queries[block] @ corpus.T).astype(np.float32, copy=False)
        if exclude is not None:
            remove(product, exclude[block])
        scores[block], found[block] = top_k(product, k, preference)
    return scores, found


def remove(scores: NDArray[np.float32], exclude: Sequence[Rows]) -> None:
    """Set the scores (n, m) of each query's excluded item rows to -inf, in place.

    Raises:
        ValueError: a row is not one of the m items.
    """
    owners = np.repeat(np.arange(len(scores)), [len(rows) for rows in exclude])
    columns = np.concatenate(exclude).astype(np.int64)
    items = scores.shape[1]
    if columns.min(initial=0) < 0 or columns.max(initial=-1) >= items:
        raise ValueError(
            f"exclude must have rows in [0, {items}), got {columns.min()} to {columns.max()}"
        )
    scores[owners, columns] = -np.inf


def top_k(
    scores: NDArray[np.float32], k: int, preference: Rows
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """The k largest scores of each row, and their columns.

    Args:
        scores: (n, m), not NaN; -inf counts as missing.
        k: Results per row.
        preference: (m,) distinct integers from 0; the larger one comes first among equal scores.

    Returns:
        Scores (n, k), best first, -inf if missing, and columns (n, k), -1 if missing.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    width = min(k, scores.shape[1])
    keys = _ordered_bits(scores) << 32 | preference  # distinct, so the result is deterministic
    head = np.argpartition(keys, -width, axis=1)[:, -width:]
    order = np.argsort(-np.take_along_axis(keys, head, axis=1), axis=1)
    columns = np.take_along_axis(head, order, axis=1)
    best = np.full((len(scores), k), -np.inf, np.float32)
    best[:, :width] = np.take_along_axis(scores, columns, axis=1)
    found = np.full((len(scores), k), -1, np.int32)
    found[:, :width] = np.where(np.isneginf(best[:, :width]), -1, columns)
    return best, found


def _ordered_bits(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Integers in the order of the floats: IEEE 754 bits, flipped for negative floats."""
    bits = (scores + np.float32(0)).view(np.int32)  # -0.0 becomes 0.0
    return np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).astype(np.int64)


def _require_vectors(queries: NDArray[Any], corpus: NDArray[Any]) -> None:
    if queries.ndim != 2 or corpus.ndim != 2 or queries.shape[1] != corpus.shape[1]:
        raise ValueError(
            f"queries and corpus must be (n, dim) and (m, dim), "
            f"got {queries.shape} and {corpus.shape}"
        )
    if not len(corpus):
        raise ValueError("corpus must have at least one item, got none")
    if not (np.isfinite(queries).all() and np.isfinite(corpus).all()):
        raise ValueError("queries and corpus must be finite, got NaN or infinity")
