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
"""Most users drawn in one block of resamples."""


class Interval(TypedDict):
    """A value and the bounds of its 95% interval."""

    value: float
    low: float
    high: float


def mean_interval(
    values: NDArray[np.float64], *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Mean over users, with its percentile interval.

    Args:
        values: (users,) one value per user.
        seed: Seed of the resampling; the same seed draws the same users.
        resamples: Number of resamples, each of as many users as there are.

    Raises:
        ValueError: there are no users, or a value is not finite.
    """
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"values must be (users,), not empty and finite, got {values}")
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
    """Mean of `first - second` with its interval: a paired comparison over the same users.

    Raises:
        ValueError: the shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"second must have the shape {first.shape}, got {second.shape}")
    return mean_interval(first - second, seed=seed, resamples=resamples)


def coverage_interval(
    recommended: Rows, n_items: int, k: int, *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """coverage@k over users, with an interval from resampling, corrected for bias.

    A resample has about 63% of the distinct users and so covers fewer items. The percentiles are
    shifted by this bias and clipped to [0, 1].

    Args:
        recommended: (users, k) item rows, -1 for no item.
        n_items: Size of the corpus.
        k: Number of leading items to use.
        seed: Seed of the resampling.
        resamples: Number of resamples, each of as many users as there are.
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
    """Blocks of user positions drawn with replacement, each (resamples of the block, users)."""
    rng = np.random.default_rng(seed)
    block = max(1, BLOCK // users)
    for start in range(0, resamples, block):
        yield rng.integers(users, size=(min(block, resamples - start), users))
