import numpy as np
import pytest

from online.experiments.always_valid import multiplier
from online.experiments.power import days_needed, minimum_detectable_effect, users_needed


@pytest.mark.parametrize("sequential", [False, True])
def test_the_needed_users_see_the_effect_with_the_stated_power(sequential):
    users = users_needed(0.1, 1.0, weights=(1, 3), sequential=sequential)
    shares = np.array([0.25, 0.75]) * users

    seen = np.random.default_rng(0).normal(0.1, (1 / shares).sum() ** 0.5, 20_000)

    bound = (multiplier(1.0) if sequential else 1.96) * (1 / shares).sum() ** 0.5
    assert (seen > bound).mean() == pytest.approx(0.8, abs=0.01)


def test_the_smallest_effect_is_the_one_whose_users_are_needed():
    effect = minimum_detectable_effect(2.0, (4000, 4000))

    assert users_needed(effect, 2.0) == pytest.approx(8000, abs=1)


@pytest.mark.parametrize(
    ("users", "days"), [(900, 1), (1000, 1), (1800, 2), (2400, 4), (2401, 5), (10_000, 42)]
)
def test_days_count_different_users(users, days):
    assert days_needed(users, (1000, 1800, 2200, 2400)) == days


def test_users_who_never_come_need_no_date():
    assert days_needed(2000, (1000, 1000)) is None
    assert days_needed(2000, (1000,)) == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: users_needed(0, 1), "effect must not be 0"),
        (lambda: users_needed(1, 1, weights=(0, 1)), "weights must be positive"),
        (lambda: users_needed(1, 1, power=1), "power and level must be within 0 and 1"),
        (lambda: minimum_detectable_effect(1, (0, 5)), "users must be two positive numbers"),
        (lambda: days_needed(5, (3, 2)), "distinct_users must not be empty and never fall"),
    ],
)
def test_numbers_out_of_range_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
