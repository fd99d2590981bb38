import math

import numpy as np
import pytest

from online.estimate import Estimate
from online.experiments.always_valid import always_valid, always_valid_p_value, multiplier


def estimate(value=1.0, users=1000, error=1.0):
    return Estimate(value=value, standard_error=error, users=users)


def test_no_look_of_many_excludes_the_truth_more_often_than_promised():
    looks = np.arange(100, 5001, 50)
    steps = np.diff(looks, prepend=0) ** 0.5
    walks = (steps * np.random.default_rng(0).normal(size=(2000, len(looks)))).cumsum(axis=1)
    z = np.abs(walks) / np.sqrt(looks)

    alarms = (z > [multiplier(look / 2500) for look in looks]).any(axis=1).mean()
    fixed = (z > 1.96).any(axis=1).mean()

    assert 0.005 < alarms < 0.05
    assert fixed > 0.3


def test_the_interval_is_narrowest_at_the_planned_users():
    # in units of the planned users' standard error
    widths = {share: multiplier(share) / math.sqrt(share) for share in (0.9, 1.0, 1.1)}
    tuned = multiplier(1.0)
    others = [
        math.sqrt((1 + 1 / mixed) * (math.log1p(mixed) - 2 * math.log(0.05)))
        for mixed in (4, 6, 7, 9, 11, 16)
    ]

    assert widths[0.9] > widths[1.0] > widths[1.1]
    assert all(tuned <= other + 0.003 for other in others)


def test_the_p_value_is_small_exactly_where_the_interval_excludes_0():
    for progress in (0.2, 1.0, 3.0):
        edge = multiplier(progress)
        for value, outside in ((edge + 1e-6, True), (edge - 1e-6, False)):
            told = estimate(value, users=int(1000 * progress))
            assert (always_valid(told, 1000)["low"] > 0) is outside
            assert (always_valid_p_value(told, 1000) < 0.05) is outside


def test_a_higher_level_is_wider_and_a_fixed_look_narrower():
    wide, usual = always_valid(estimate(), 1000, 0.99), always_valid(estimate(), 1000)

    assert wide["low"] < usual["low"] < estimate().interval()["low"]


def test_few_users_say_nothing():
    assert always_valid(estimate(users=99), 1000)["high"] == math.inf
    assert always_valid_p_value(estimate(9.0, users=99), 1000) == 1.0
    with pytest.raises(ValueError, match="planned_users must be at least 1, got 0"):
        always_valid(estimate(), 0)
