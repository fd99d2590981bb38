"""Intervals that hold at every look: an experiment may be watched daily and stopped at any time.

The normal mixture of Robbins (1970), which A/B tests know as the mSPRT (Johari, Koomen, Pekelis and
Walsh, KDD 2017 and Operations Research 2022). With an estimated variance it is the asymptotic
confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (Annals of Statistics 2024),
whose validity needs no known distribution, but enough users before the first look.
"""

import math

from evaluation.intervals import Interval
from online.estimate import LEVEL, Estimate

LEAST_USERS = 100
"""Users below which nothing is said: the normal approximation needs them"""


def always_valid(estimate: Estimate, planned_users: int, level: float = LEVEL) -> Interval:
    """Interval that covers the true value at all looks together with the stated probability.

    Args:
        estimate: Estimate over all users until now.
        planned_users: Number of users at which the interval is narrowest; fix it before the first
            look. The interval holds at any number.
        level: Probability that no look ever excludes the true value.

    Returns:
        The interval; infinite below `LEAST_USERS`.

    Raises:
        ValueError: the planned users are not positive.
    """
    if planned_users < 1:
        raise ValueError(f"planned_users must be at least 1, got {planned_users}")
    if estimate.users < LEAST_USERS:
        half = math.inf
    else:
        half = multiplier(estimate.users / planned_users, level) * estimate.standard_error
    return Interval(value=estimate.value, low=estimate.value - half, high=estimate.value + half)


def always_valid_p_value(estimate: Estimate, planned_users: int) -> float:
    """Evidence against a true value of 0, below 0.05 at any look with probability 0.05 at most."""
    if estimate.users < LEAST_USERS or not math.isfinite(estimate.standard_error):
        return 1.0
    if not estimate.standard_error:
        return float(estimate.value == 0)
    mixed = _tuned(LEVEL) * estimate.users / planned_users
    z = estimate.value / estimate.standard_error
    return math.exp(min(0.0, 0.5 * math.log1p(mixed) - 0.5 * z * z * mixed / (1 + mixed)))


def multiplier(progress: float, level: float = LEVEL) -> float:
    """Standard errors on each side of the estimate.

    Args:
        progress: Users until now as a share of the planned ones.
        level: As for `always_valid`.
    """
    mixed = _tuned(level) * progress
    return math.sqrt((1 + 1 / mixed) * (math.log1p(mixed) - 2 * math.log(1 - level)))


def _tuned(level: float) -> float:
    """Variance of the mixture in squared standard errors at the planned users: the narrowest there.

    The approximation of Waudby-Smith et al., 2024, appendix on the choice of the parameter.
    """
    chance = -2 * math.log(1 - level)
    return chance + math.log1p(chance)
