"""95% intervals by the bootstrap over users (Efron & Tibshirani, 1993)."""

from collections.abc import Iterator
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from evaluation.metrics import Rows, coverage

RESAMPLES = 1000
PERCENTILES = (2.5, 97.5)
BLOCK = 1 << 21
"""Users drawn at once, over all resamples of a block."""


class Interval(TypedDict):
    """A figure and the bounds of its 95% interval."""

    value: float
    low: float
    high: float


def mean_interval(
    values: NDArray[np.float64], *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Mean over users, with its percentile interval.

    Args:
        values: (users,) one figure a user.
        seed: Of the resampling; the same seed draws the same users.
        resamples: Of as many users each as there are.

    Raises:
        ValueError: there are no users, or a figure is not finite.
    """
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"values must be finite, (users,), got {values}")
    means = [values[rows].mean(axis=1) for rows in _resampled(len(values), resamples, seed)]
    low, high = np.percentile(np.concatenate(means), PERCENTILES)
    return Interval(value=float(values.mean()), low=float(low), high=float(high))


def difference_interval(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """Mean of `first - second` over the same users, in the same order: a paired comparison.

    Raises:
        ValueError: the two are not of the same users.
    """
    if first.shape != second.shape:
        raise ValueError(f"second must have the shape {first.shape}, got {second.shape}")
    return mean_interval(first - second, seed=seed, resamples=resamples)


def coverage_interval(
    recommended: Rows, n_items: int, k: int, *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """coverage@k over users, with an interval of the spread between resamples.

    A resample holds about 63% of the users and so covers fewer items than all of them: its
    percentiles would lie below the value. They are moved by that bias, and bounded by [0, 1].

    Args:
        recommended: (users, k) item rows, -1 where there is none.
        n_items: Size of the corpus.
        k: Length of the list that is looked at.
        seed: Of the resampling.
        resamples: Of as many users each as there are.
    """
    value, users = coverage(recommended, n_items, k), len(recommended)
    shown = recommended[:, :k]
    owners, places = np.nonzero(shown >= 0)
    pairs = (np.ones(len(owners), np.float32), (shown[owners, places], owners))
    shown_to = sparse.csr_array(pairs, shape=(n_items, users))
    shares = []
    for rows in _resampled(users, resamples, seed):
        drawn = np.zeros((users, len(rows)), np.float32)
        drawn[rows, np.arange(len(rows))[:, None]] = 1
        shares.append((shown_to @ drawn > 0).sum(axis=0) / n_items)
    share = np.concatenate(shares)
    low, high = np.clip(np.percentile(share, PERCENTILES) + value - share.mean(), 0, 1)
    return Interval(value=value, low=min(value, float(low)), high=max(value, float(high)))


def _resampled(users: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Blocks of (resamples of the block, users) positions, drawn with replacement."""
    rng = np.random.default_rng(seed)
    block = max(1, BLOCK // users)
    for start in range(0, resamples, block):
        yield rng.integers(users, size=(min(block, resamples - start), users))
