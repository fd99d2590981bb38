"""All metrics of one system's lists, and differences between two systems."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from evaluation.intervals import (
    Interval,
    Users,
    coverage_interval,
    difference_interval,
    mean_interval,
)
from evaluation.metrics import Gains, Rows, ndcg, recall, reciprocal_rank

RECALL_AT = (10, 20, 50, 100)
Metric = Callable[..., NDArray[np.float64]]
METRICS = (*(f"recall@{k}" for k in RECALL_AT), "ndcg@10", "mrr", "coverage@10")


def summarise(
    recommended: Rows,
    targets: Sequence[Rows],
    n_items: int,
    seed: int = 0,
    *,
    users: Users = None,
    gains: Gains = None,
) -> dict[str, Interval]:
    """Every metric of one system with its 95% interval.

    Args:
        recommended: (cases, k) item rows, best first, -1 for no item. MRR uses all k items, and
            recall@100 only k if k is below 100. (trainings, cases, k) for a system that was trained
            several times; every metric is then the mean over trainings, the expected result of one.
        targets: Item rows of each case, at least one.
        n_items: Size of the corpus, for coverage.
        seed: Seed of the bootstrap.
        users: Users of the cases, if one has several.
        gains: Relevance of each target, which NDCG counts; None for 1.

    Returns:
        Intervals by name, in the order of `METRICS`; all values in [0, 1].
    """
    means = {
        name: mean_interval(values, users=users, seed=seed)
        for name, values in per_case(recommended, targets, gains).items()
    }
    trained = recommended if recommended.ndim == 3 else recommended[None]
    covered = [coverage_interval(lists, n_items, 10, users=users, seed=seed) for lists in trained]
    value, low, high = np.mean([[c["value"], c["low"], c["high"]] for c in covered], axis=0)
    coverage = Interval(value=float(value), low=float(low), high=float(high))
    return {**means, "coverage@10": coverage}


def compare(
    first: Rows,
    second: Rows,
    targets: Sequence[Rows],
    seed: int = 0,
    *,
    users: Users = None,
    gains: Gains = None,
) -> dict[str, Interval]:
    """How much better the first system is than the second, for the same cases.

    Args:
        first: (cases, k) item rows, or (trainings, cases, k).
        second: (cases, l) item rows, or (trainings, cases, l).
        targets: Item rows of each case.
        seed: Seed of the bootstrap.
        users: Users of the cases, if one has several.
        gains: Relevance of each target, which NDCG counts; None for 1.

    Returns:
        Paired differences of the metrics that are means over cases. If an interval excludes 0, the
        difference is significant: other users would show it, too.
    """
    ours, theirs = (per_case(lists, targets, gains) for lists in (first, second))
    return {
        name: difference_interval(ours[name], theirs[name], users=users, seed=seed) for name in ours
    }


def per_case(
    recommended: Rows, targets: Sequence[Rows], gains: Gains = None
) -> dict[str, NDArray[np.float64]]:
    """(cases,) values of every metric that is a mean over cases, by name."""
    return {
        **{f"recall@{k}": over_trainings(recall, recommended, targets, k) for k in RECALL_AT},
        "ndcg@10": over_trainings(partial(ndcg, gains=gains), recommended, targets, 10),
        "mrr": over_trainings(reciprocal_rank, recommended, targets),
    }


def over_trainings(
    metric: Metric, recommended: Rows, targets: Sequence[Rows], *k: int
) -> NDArray[np.float64]:
    """(cases,) values of a metric, averaged over trainings if there are several.

    Args:
        metric: Function of `evaluation.metrics`.
        recommended: (cases, k) item rows, or (trainings, cases, k).
        targets: Item rows of each case.
        k: Number of leading items to use, if the metric has this parameter.
    """
    trained = recommended if recommended.ndim == 3 else recommended[None]
    mean: NDArray[np.float64] = np.mean([metric(lists, targets, *k) for lists in trained], axis=0)
    return mean
