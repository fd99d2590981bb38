"""All metrics of a system's lists, and of the difference between two systems."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from evaluation.intervals import Interval, coverage_interval, difference_interval, mean_interval
from evaluation.metrics import Rows, ndcg, recall, reciprocal_rank

RECALL_AT = (10, 20, 50, 100)
Metric = Callable[..., NDArray[np.float64]]
METRICS = (*(f"recall@{k}" for k in RECALL_AT), "ndcg@10", "mrr", "coverage@10")


def summarise(
    recommended: Rows, targets: Sequence[Rows], n_items: int, seed: int = 0
) -> dict[str, Interval]:
    """Every metric of one system with its 95% interval.

    Args:
        recommended: (users, k) item rows, best first, -1 where there is none. Where k is less than
            100, recall@100 is that of the k items: more are not offered. MRR looks at all k.
            (trainings, users, k) of a system that was trained several times: every figure is then
            the mean over trainings, of what one of them is to be expected to reach.
        targets: Item rows of each user, at least one.
        n_items: Size of the corpus, for coverage.
        seed: Of the bootstrap.

    Returns:
        `METRICS`, in this order; shares within [0, 1].
    """
    means = {
        name: mean_interval(values, seed=seed)
        for name, values in per_user(recommended, targets).items()
    }
    trained = recommended if recommended.ndim == 3 else recommended[None]
    covered = [coverage_interval(lists, n_items, 10, seed=seed) for lists in trained]
    value, low, high = np.mean([[c["value"], c["low"], c["high"]] for c in covered], axis=0)
    coverage = Interval(value=float(value), low=float(low), high=float(high))
    return {**means, "coverage@10": coverage}


def compare(
    first: Rows, second: Rows, targets: Sequence[Rows], seed: int = 0
) -> dict[str, Interval]:
    """By how much the first system is better than the second, for the same users.

    Args:
        first: (users, k) item rows, or (trainings, users, k).
        second: (users, l) item rows, or (trainings, users, l).
        targets: Item rows of each user.
        seed: Of the bootstrap.

    Returns:
        Paired differences of the metrics that are means over users. An interval without 0 is a
        difference that other users would show, too.
    """
    ours, theirs = per_user(first, targets), per_user(second, targets)
    return {name: difference_interval(ours[name], theirs[name], seed=seed) for name in ours}


def per_user(recommended: Rows, targets: Sequence[Rows]) -> dict[str, NDArray[np.float64]]:
    """(users,) figures of every metric that is a mean over users."""
    return {
        **{f"recall@{k}": over_trainings(recall, recommended, targets, k) for k in RECALL_AT},
        "ndcg@10": over_trainings(ndcg, recommended, targets, 10),
        "mrr": over_trainings(reciprocal_rank, recommended, targets),
    }


def over_trainings(
    metric: Metric, recommended: Rows, targets: Sequence[Rows], *k: int
) -> NDArray[np.float64]:
    """(users,) a metric of lists, its mean where there are lists of several trainings.

    Args:
        metric: Of `evaluation.metrics`.
        recommended: (users, k) item rows, or (trainings, users, k).
        targets: Item rows of each user.
        k: Length of the list that is looked at, if the metric asks for it.
    """
    trained = recommended if recommended.ndim == 3 else recommended[None]
    mean: NDArray[np.float64] = np.mean([metric(lists, targets, *k) for lists in trained], axis=0)
    return mean
