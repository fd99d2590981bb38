import numpy as np
import pytest

from evaluation.user_groups import (
    OTHERS,
    UNKNOWN,
    by_labels,
    by_numbers,
    group_means,
    largest_gap,
)


def test_groups_are_the_most_frequent_labels_and_small_ones_are_joined():
    labels = ["b"] * 12 + ["a"] * 20 + ["c"] * 6 + ["d"] * 5 + [None] * 10

    found = by_labels("city", labels)

    assert found.groups == ["a", "b", UNKNOWN, OTHERS]
    assert np.bincount(found.of_user).tolist() == [20, 12, 10, 11]


def test_too_few_users_are_in_no_group():
    found = by_labels("city", ["a"] * 12 + ["b"] * 3)

    assert found.groups == ["a"]
    assert (found.of_user == -1).sum() == 3


def test_numbers_are_grouped_in_quantile_bands_in_their_order():
    ages = np.append(np.arange(100.0), [np.nan] * 15)

    found = by_numbers("age", ages)

    assert found.groups == ["under 20", "20 to 40", "40 to 59", "59 to 79", "79 or more", UNKNOWN]
    assert found.of_user[[0, 19, 20, 99, 114]].tolist() == [0, 0, 1, 4, 5]


def test_means_of_groups_and_their_gap_are_exact():
    users = np.repeat(np.arange(40), 2)
    grouping = by_labels("sex", ["f"] * 20 + ["m"] * 20)
    values = np.where(users < 20, 0.5, 0.25)

    means = group_means(values, users, grouping)
    gap = largest_gap(values, users, grouping)

    assert means == {
        "f": {"value": 0.5, "low": 0.5, "high": 0.5},
        "m": {"value": 0.25, "low": 0.25, "high": 0.25},
    }
    assert (gap["best"], gap["worst"]) == ("f", "m")
    assert gap["gap"] == {"value": 0.25, "low": 0.25, "high": 0.25}
    assert gap["chance"] < 0.01


def test_a_gap_of_groups_that_mean_nothing_is_mostly_chance():
    rng = np.random.default_rng(3)
    chances = []
    for seed in range(6):
        labels = list(rng.choice(["a", "b", "c", "d"], size=200))
        values = rng.random(200)
        found = largest_gap(values, np.arange(200), by_labels("x", labels), seed=seed)
        chances.append(found["chance"])

    assert np.mean(chances) == pytest.approx(0.5, abs=0.25)
    assert sum(chance <= 0.05 for chance in chances) <= 1


def test_one_group_has_no_gap():
    assert largest_gap(np.ones(12), np.arange(12), by_labels("x", ["a"] * 12)) is None
