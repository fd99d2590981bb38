"""Estimates with their standard errors over users, and how two of them compare."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from evaluation.intervals import Interval

Values = NDArray[np.float64]
LEVEL = 0.95
"""Coverage of an interval unless another one is asked for"""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value estimated over users."""

    value: float
    standard_error: float
    """Infinite for fewer than two users"""
    users: int
    """Users that it rests on"""

    def interval(self, level: float = LEVEL) -> Interval:
        """Interval by the normal distribution, for a look at one moment fixed in advance."""
        half = float(norm.isf((1 - level) / 2)) * self.standard_error
        return Interval(value=self.value, low=self.value - half, high=self.value + half)

    @property
    def p_value(self) -> float:
        """Two-sided p-value of the hypothesis that the true value is 0."""
        if not self.standard_error:
            return float(self.value == 0)
        return float(2 * norm.sf(abs(self.value) / self.standard_error))


def mean(values: Values) -> Estimate:
    """Mean of one value a user.

    Args:
        values: (users,) finite numbers, such as purchases of each user or `linearised` rates.

    Raises:
        ValueError: there are no users, or a value is not finite.
    """
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"values must be (users,), not empty and finite, got {values}")
    count = len(values)
    error = float(values.std(ddof=1)) / count**0.5 if count > 1 else float("inf")
    return Estimate(value=float(values.mean()), standard_error=error, users=count)


def linearised(numerators: Values, denominators: Values) -> Values:
    """Values whose mean is a ratio of sums, and whose standard error is the ratio's.

    The delta method (Deng, Knoblich and Lu, KDD 2018): a rate such as clicks per exposure has users
    as its units, because exposures of one user are alike. In CUPED they stand for the ratio.

    Args:
        numerators: (users,) such as clicks of each user.
        denominators: (users,) such as exposures of each user; 0 is allowed.

    Returns:
        (users,) `ratio + (numerator - ratio × denominator) / mean denominator`.

    Raises:
        ValueError: the shapes differ, or no denominator is positive.
    """
    if numerators.shape != denominators.shape:
        raise ValueError(
            f"denominators must have the shape {numerators.shape}, got {denominators.shape}"
        )
    if not len(denominators) or denominators.min() < 0 or not denominators.max() > 0:
        raise ValueError(f"denominators must be at least 0, and one positive, got {denominators}")
    ratio = numerators.sum() / denominators.sum()
    linear: Values = ratio + (numerators - ratio * denominators) / denominators.mean()
    return linear


def difference(treatment: Estimate, control: Estimate) -> Estimate:
    """`treatment - control` of two groups of different users."""
    return Estimate(
        value=treatment.value - control.value,
        standard_error=float(np.hypot(treatment.standard_error, control.standard_error)),
        users=treatment.users + control.users,
    )


def lift(treatment: Estimate, control: Estimate) -> Estimate:
    """`treatment / control - 1` of two groups of different users, by the delta method.

    Raises:
        ValueError: the control is not positive.
    """
    if not control.value > 0:
        raise ValueError(f"control must have a positive value, got {control.value}")
    ratio = treatment.value / control.value
    error = np.hypot(treatment.standard_error, ratio * control.standard_error) / control.value
    return Estimate(
        value=ratio - 1, standard_error=float(error), users=treatment.users + control.users
    )
