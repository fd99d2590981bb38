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
Users = NDArray[np.int64] | None
"""(cases,) user of each case, as any number; None if each case is of another user"""


class Interval(TypedDict):
    """A value and the bounds of its 95% interval."""

    value: float
    low: float
    high: float


def mean_interval(
    values: NDArray[np.float64],
    *,
    users: Users = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """Mean over cases, with its percentile interval.

    Args:
        values: (cases,) one value per case.
        users: Users of the cases. A resample draws users, each with all cases, because cases of
            one user are alike.
        seed: Seed of the resampling; the same seed draws the same users.
        resamples: Number of resamples, each of as many users as there are.

    Raises:
        ValueError: there are no cases, or a value is not finite.
    """
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"values must be (cases,), not empty and finite, got {values}")
    low, high = np.percentile(_means(values, users, seed, resamples), PERCENTILES)
    return Interval(value=float(values.mean()), low=float(low), high=float(high))


def difference_interval(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    *,
    users: Users = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """Mean of `first - second` with its interval: a paired comparison over the same cases.

    Raises:
        ValueError: the shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"second must have the shape {first.shape}, got {second.shape}")
    return mean_interval(first - second, users=users, seed=seed, resamples=resamples)


def between_interval(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    *,
    users: tuple[NDArray[np.int64], NDArray[np.int64]],
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """Mean of `first` minus the mean of `second`, of two groups of users, with its interval.

    Args:
        first: (cases,) values of one group.
        second: (other cases,) values of another group.
        users: Users of the cases of both groups; each group is resampled by itself.
        seed: Seed of the resampling.
        resamples: Number of resamples.
    """
    drawn = [
        _means(values, of_cases, seed + number, resamples)
        for number, (values, of_cases) in enumerate(zip((first, second), users, strict=True))
    ]
    low, high = np.percentile(drawn[0] - drawn[1], PERCENTILES)
    return Interval(value=float(first.mean() - second.mean()), low=float(low), high=float(high))


def ratio_interval(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    *,
    users: Users = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """Mean of `first` divided by the mean of `second`, over the same cases, with its interval.

    Resamples in which all of `second` is 0 do not count.

    Raises:
        ValueError: the shapes differ, or the mean of `second` is not positive.
    """
    if first.shape != second.shape:
        raise ValueError(f"second must have the shape {first.shape}, got {second.shape}")
    if not second.mean() > 0:
        raise ValueError(f"second must have a positive mean, got {second.mean()}")
    count, of_user = _numbered(users, len(first))
    above, below = (np.bincount(of_user, values, count) for values in (first, second))
    ratios = []
    for rows in _resampled(count, resamples, seed):
        divisors = below[rows].sum(axis=1)
        ratios.append(above[rows].sum(axis=1)[divisors > 0] / divisors[divisors > 0])
    low, high = np.percentile(np.concatenate(ratios), PERCENTILES)
    return Interval(value=float(first.mean() / second.mean()), low=float(low), high=float(high))


def coverage_interval(
    recommended: Rows,
    n_items: int,
    k: int,
    *,
    users: Users = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """coverage@k over cases, with an interval from resampling, corrected for bias.

    A resample has about 63% of the distinct users and so covers fewer items. The percentiles are
    shifted by this bias and clipped to [0, 1].

    Args:
        recommended: (cases, k) item rows, -1 for no item.
        n_items: Size of the corpus.
        k: Number of leading items to use.
        users: Users of the cases, as in `mean_interval`.
        seed: Seed of the resampling.
        resamples: Number of resamples, each of as many users as there are.
    """
    value = coverage(recommended, n_items, k)
    count, of_user = _numbered(users, len(recommended))
    shown = recommended[:, :k]
    owners, places = np.nonzero(shown >= 0)
    pairs = (np.ones(len(owners), np.float32), (shown[owners, places], of_user[owners]))
    shown_to = sparse.csr_array(pairs, shape=(n_items, count))
    shares = []
    for rows in _resampled(count, resamples, seed):
        drawn = np.zeros((count, len(rows)), np.float32)
        drawn[rows, np.arange(len(rows))[:, None]] = 1
        shares.append((shown_to @ drawn > 0).sum(axis=0) / n_items)
    share = np.concatenate(shares)
    low, high = np.clip(np.percentile(share, PERCENTILES) + value - share.mean(), 0, 1)
    return Interval(value=value, low=min(value, float(low)), high=max(value, float(high)))


def _means(
    values: NDArray[np.float64], users: Users, seed: int, resamples: int
) -> NDArray[np.float64]:
    """(resamples,) mean over the cases of the users of each resample."""
    count, of_user = _numbered(users, len(values))
    sums, cases = np.bincount(of_user, values, count), np.bincount(of_user, minlength=count)
    return np.concatenate(
        [
            sums[rows].sum(axis=1) / cases[rows].sum(axis=1)
            for rows in _resampled(count, resamples, seed)
        ]
    )


def _numbered(users: Users, cases: int) -> tuple[int, NDArray[np.int64]]:
    """Number of users, and (cases,) which of them each case is of."""
    if users is None:
        return cases, np.arange(cases)
    distinct, of_user = np.unique(users, return_inverse=True)
    return len(distinct), of_user


def _resampled(users: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Blocks of user positions drawn with replacement, each (resamples of the block, users)."""
    rng = np.random.default_rng(seed)
    block = max(1, BLOCK // users)
    for start in range(0, resamples, block):
        yield rng.integers(users, size=(min(block, resamples - start), users))
