"""Decides whether ranking pays: by the paired gain over users who made no other choice."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import ndcg
from ranker.list_batches import ValidationLists
from ranker.ranker import Ranker, reorder

TOP = 10
"""Items of which the gate computes NDCG"""


@dataclass(frozen=True, kw_only=True)
class Gain:
    """Mean paired difference of a metric over users."""

    before: float
    """Mean of the metric without the change"""
    after: float
    """Mean of the metric with the change"""
    standard_error: float
    """Of the mean of the differences; infinite for fewer than two users"""
    users: int

    @property
    def mean(self) -> float:
        """Mean of the differences."""
        return self.after - self.before

    @property
    def pays(self) -> bool:
        """Whether the gain is beyond one standard error."""
        return self.mean > self.standard_error

    @property
    def verdict(self) -> str:
        """Whether ranking pays, and by how much, in one sentence."""
        says = "pays" if self.pays else "does not pay, so the shortlist's order stays"
        return (
            f"ranking {says}: NDCG@10 {self.after:.4f} against {self.before:.4f} of the shortlist, "
            f"gain {self.mean:+.4f} ± {self.standard_error:.4f} over {self.users} users who chose "
            "nothing else"
        )


def paired_gain(
    before: NDArray[np.float64], after: NDArray[np.float64], users: NDArray[np.int64]
) -> Gain:
    """The gain of a change, and its error over users: cases of one user are no independent ones.

    Args:
        before: (cases,) values of a metric without the change.
        after: (cases,) values with it.
        users: (cases,) user row of each case.
    """
    distinct, of_case = np.unique(users, return_inverse=True)
    if not len(distinct):
        return Gain(before=0.0, after=0.0, standard_error=float("inf"), users=0)
    cases = np.bincount(of_case)
    differences = np.bincount(of_case, after - before)
    # of a ratio of sums over users: each user's sum of differences against its expected one
    mean = float(differences.sum() / cases.sum())
    spread = float(((differences - mean * cases) ** 2).sum())
    count = len(distinct)
    error = float("inf")
    if count > 1:
        error = (spread * count / (count - 1)) ** 0.5 / float(cases.sum())
    return Gain(
        before=float(before.mean()), after=float(after.mean()), standard_error=error, users=count
    )


def ranking_gain(
    ranker: Ranker,
    lists: ValidationLists,
    targets: Sequence[NDArray[np.int32]],
    users: NDArray[np.int64],
) -> Gain:
    """Gain in NDCG@10 of the ranker's order over the shortlists' own.

    Args:
        ranker: Ranker in evaluation mode.
        lists: Shortlists of the users who decide.
        targets: Item rows that each of them bought next.
        users: (lists,) user row of each.
    """
    orders = np.full((2, len(lists), TOP), -1, np.int32)
    for user in range(len(lists)):
        history, rows, scores, features = lists[user]
        orders[0, user, : len(rows[:TOP])] = rows[:TOP]
        ranked = reorder(rows, ranker(history, rows, scores, features))[:TOP]
        orders[1, user, : len(ranked)] = ranked
    before, after = (ndcg(shown, targets, TOP) for shown in orders)
    return paired_gain(before, after, users)
