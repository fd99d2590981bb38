"""What an experiment can detect, and how many users and days it needs, before it starts."""

import math
from collections.abc import Sequence

from scipy.stats import norm

from online.estimate import LEVEL
from online.experiments.always_valid import multiplier

POWER = 0.8
"""Probability of seeing a true difference of the stated size"""


def minimum_detectable_effect(
    deviation: float,
    users: Sequence[int],
    *,
    power: float = POWER,
    level: float = LEVEL,
    sequential: bool = False,
) -> float:
    """Smallest difference of two arms that an experiment sees with the stated power.

    Args:
        deviation: Standard deviation of the figure over users: of `linearised` rates, after `cuped`
            if that is used.
        users: Users of the control and of the arm.
        power: Probability of seeing it.
        level: Coverage of the interval that must exclude 0.
        sequential: Whether the interval is the always valid one, with these users as the planned
            ones. The power is that of the last look; earlier ones add to it.

    Raises:
        ValueError: a number is out of range.
    """
    if len(users) != 2 or min(users) < 1:
        raise ValueError(f"users must be two positive numbers, got {users}")
    return (
        _distance(power, level, sequential=sequential)
        * deviation
        * math.hypot(*(each**-0.5 for each in users))
    )


def users_needed(
    effect: float,
    deviation: float,
    *,
    weights: tuple[float, float] = (1.0, 1.0),
    power: float = POWER,
    level: float = LEVEL,
    sequential: bool = False,
) -> int:
    """Users of both arms together from which a difference is seen with the stated power.

    Args:
        effect: The difference, in the figure's own unit.
        deviation: As for `minimum_detectable_effect`.
        weights: Weights of the control and of the arm.
        power: Probability of seeing it.
        level: Coverage of the interval that must exclude 0.
        sequential: As for `minimum_detectable_effect`.

    Raises:
        ValueError: a number is out of range.
    """
    if not effect or not math.isfinite(effect):
        raise ValueError(f"effect must not be 0, got {effect}")
    if min(weights) <= 0:
        raise ValueError(f"weights must be positive, got {weights}")
    shares = [weight / sum(weights) for weight in weights]
    spread = deviation**2 * sum(1 / share for share in shares)
    return math.ceil(spread * (_distance(power, level, sequential=sequential) / effect) ** 2)


def days_needed(users: int, distinct_users: Sequence[int]) -> int | None:
    """Days until an experiment has its users.

    Args:
        users: Users of all arms together.
        distinct_users: Different users who come within 1, 2, … days, counted on past days: users
            who come back are no new ones. Later days bring as many as the last of these.

    Returns:
        The days; None if the users never come.

    Raises:
        ValueError: there are no days, or the numbers fall.
    """
    if not distinct_users or sorted(distinct_users) != list(distinct_users):
        raise ValueError(f"distinct_users must not be empty and never fall, got {distinct_users}")
    for day, count in enumerate(distinct_users, 1):
        if count >= users:
            return day
    days, last = len(distinct_users), distinct_users[-1]
    gain = last - distinct_users[-2] if days > 1 else last
    return days + math.ceil((users - last) / gain) if gain else None


def _distance(power: float, level: float, *, sequential: bool) -> float:
    """Standard errors between 0 and a difference that is seen with the stated power."""
    if not 0 < power < 1 or not 0 < level < 1:
        raise ValueError(f"power and level must be within 0 and 1, got {power} and {level}")
    bound = multiplier(1.0, level) if sequential else float(norm.isf((1 - level) / 2))
    return bound + float(norm.ppf(power))
