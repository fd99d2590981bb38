import numpy as np
import pytest

from evaluation.intervals import (
    coverage_interval,
    difference_interval,
    mean_interval,
    ratio_interval,
)
from evaluation.metrics import coverage


def test_an_interval_reaches_about_two_standard_errors_to_each_side():
    values = np.random.default_rng(0).normal(5.0, 2.0, size=4000)

    interval = mean_interval(values)

    assert interval["value"] == pytest.approx(values.mean())
    assert interval["low"] < interval["value"] < interval["high"]
    half = 1.96 * values.std() / np.sqrt(len(values))
    width = interval["high"] - interval["low"]
    assert width == pytest.approx(2 * half, rel=0.1)  # of 1,000 resamples: off by some 3%


def test_19_of_20_intervals_contain_the_true_mean():
    rng = np.random.default_rng(1)
    contains = [
        (found := mean_interval(rng.random(200) < 0.3, resamples=300))["low"] <= 0.3
        and found["high"] >= 0.3
        for _ in range(300)
    ]
    assert 0.9 < np.mean(contains) < 0.99


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(0).random(100)

    assert mean_interval(values, seed=3) == mean_interval(values, seed=3)
    assert mean_interval(values, seed=3) != mean_interval(values, seed=4)


def test_a_paired_interval_ignores_the_spread_between_users():
    users = np.random.default_rng(0).random(500)
    first, second = users + 0.01, users

    interval = difference_interval(first, second)

    assert interval["low"] == pytest.approx(0.01)
    assert interval["high"] == pytest.approx(0.01)


def test_different_numbers_of_users_are_refused():
    with pytest.raises(ValueError, match=r"second must have the shape \(3,\), got \(2,\)"):
        difference_interval(np.zeros(3), np.zeros(2))


@pytest.mark.parametrize("values", [np.array([]), np.array([1.0, np.nan])])
def test_empty_or_non_finite_values_are_refused(values):
    with pytest.raises(ValueError, match=r"values must be .* finite"):
        mean_interval(values)


def test_a_coverage_interval_contains_the_value():
    rng = np.random.default_rng(0)
    lists = np.stack([rng.permutation(400)[:10] for _ in range(50)]).astype(np.int32)

    interval = coverage_interval(lists, 400, 5)

    assert interval["value"] == coverage(lists, 400, 5)
    assert 0 < interval["low"] < interval["value"] < interval["high"] < 1


def test_a_coverage_interval_is_as_wide_as_that_of_plain_resampling():
    rng = np.random.default_rng(0)
    lists = np.stack([rng.permutation(100)[:6] for _ in range(30)]).astype(np.int32)
    lists[::3, 4:] = -1

    interval = coverage_interval(lists, 100, 5, seed=2)

    draws = np.random.default_rng(2).integers(30, size=(1000, 30))
    low, high = np.percentile([coverage(lists[d], 100, 5) for d in draws], [2.5, 97.5])
    assert interval["high"] - interval["low"] == pytest.approx(high - low)


def test_equal_lists_have_a_coverage_interval_of_zero_width():
    interval = coverage_interval(np.tile(np.arange(10), (20, 1)), 40, 10)

    assert interval == {"value": 0.25, "low": 0.25, "high": 0.25}


def test_cases_of_a_user_are_drawn_together():
    rng = np.random.default_rng(0)
    of_user = rng.random(30)
    users = rng.permutation(np.repeat(np.arange(30), 20)) + 7

    together = mean_interval(of_user[users - 7], users=users, seed=2)
    once = mean_interval(of_user, seed=2)
    apart = mean_interval(of_user[users - 7], seed=2)

    assert together == pytest.approx(once)
    assert apart["high"] - apart["low"] < 0.4 * (once["high"] - once["low"])


def test_a_user_with_more_cases_weighs_more():
    interval = mean_interval(np.array([1.0, 1.0, 1.0, 0.0]), users=np.array([4, 4, 4, 9]))

    assert interval == {"value": 0.75, "low": 0.0, "high": 1.0}


def test_coverage_of_equal_cases_of_a_user_is_as_wide_as_of_one():
    rng = np.random.default_rng(1)
    lists = np.stack([rng.permutation(400)[:5] for _ in range(40)])

    once = coverage_interval(lists, 400, 5)
    twice = coverage_interval(np.repeat(lists, 3, axis=0), 400, 5, users=np.repeat(range(40), 3))

    assert twice == pytest.approx(once)


def test_a_ratio_is_of_means_and_its_interval_ignores_what_both_share():
    second = np.random.default_rng(0).random(400)

    interval = ratio_interval(1.2 * second, second)

    assert [interval[key] for key in ("value", "low", "high")] == pytest.approx([1.2] * 3)


def test_a_ratio_to_nothing_is_an_error():
    with pytest.raises(ValueError, match="second must have a positive mean, got 0"):
        ratio_interval(np.ones(3), np.zeros(3))
