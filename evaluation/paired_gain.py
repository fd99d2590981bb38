"""The gain of a change in a metric over the same cases, and its standard error over users."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
