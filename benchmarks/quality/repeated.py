"""Figures of new targets and of targets that the history holds, where items may come back."""

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dataset.cases import Cases
from evaluation.intervals import Interval, mean_interval
from evaluation.metrics import ndcg, recall
from evaluation.summary import over_trainings

FIGURES = {"recall@10": (recall, 10), "NDCG@10": (None, 10), "recall@100": (recall, 100)}
"""Metric and k; None for NDCG, which counts the targets' gains"""


def come_back(cases: Cases) -> bool:
    """Whether an item of some history may be recommended."""
    pairs = zip(cases.histories, cases.excluded, strict=True)
    return any(not np.isin(history, excluded).all() for history, excluded in pairs)


def by_repeat(
    systems: Mapping[str, NDArray[np.int32]], cases: Cases, seed: int
) -> dict[str, dict[str, Interval]]:
    """Figures by kind of target and by system; empty where no target is in its history.

    A case with targets of both kinds is in both, with the targets of each; items of the other kind
    count as misses there.

    Args:
        systems: (cases, k) or (trainings, cases, k) item rows of every system, by name.
        cases: Cases that the lists answer.
        seed: Seed of the intervals.
    """
    repeated = [
        np.isin(targets, history)
        for targets, history in zip(cases.targets, cases.histories, strict=True)
    ]
    if not any(of_case.any() for of_case in repeated):
        return {}
    figures = {}
    for kind, chosen in (
        ("new targets", [~of_case for of_case in repeated]),
        ("targets of the history", repeated),
    ):
        having = np.flatnonzero([of_case.any() for of_case in chosen])
        targets = [cases.targets[case][chosen[case]] for case in having]
        graded = None
        if cases.gains is not None:
            graded = [cases.gains[case][chosen[case]] for case in having.tolist()]
        for name, (metric, k) in FIGURES.items() if len(having) else ():
            figures[f"{kind}, {name} ({len(having):,} cases)"] = {
                system: mean_interval(
                    over_trainings(
                        metric or partial(ndcg, gains=graded), lists[..., having, :], targets, k
                    ),
                    users=cases.user_rows[having],
                    seed=seed,
                )
                for system, lists in systems.items()
            }
    return figures
