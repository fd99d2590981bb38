import numpy as np
import pytest
from scipy.stats import spearmanr

from index import demand_eras
from index.demand_eras import COLUMNS, eras
from tests.rounding import rounding


def item_times(offsets, items, moments, n_items):
    """Of interactions that all count alike."""
    alike = np.ones(len(items), np.float32)
    return demand_eras.item_times(offsets, items, moments, n_items, alike)


def shoppers(rng, *, items=60, users=800):
    """Histories of items with roughly ascending numbers, so that an item's number is its era."""
    lengths = rng.integers(2, 7, users)
    bought = [
        np.sort(rng.permutation(items)[:length] + rng.normal(0, 3, length)).clip(0, items - 1)
        for length in lengths
    ]
    return np.concatenate([[0], np.cumsum(lengths)]), np.concatenate(bought).astype(np.int32)


def test_eras_follow_the_order_in_which_items_are_bought():
    offsets, items = shoppers(np.random.default_rng(0))
    shuffled = (
        np.random.default_rng(1).permutation(60).astype(np.int32)
    )  # row order carries no meaning

    known = item_times(offsets, shuffled[items], np.arange(len(items)), 60)

    assert spearmanr(known[shuffled, 0], np.arange(60)).statistic > 0.95
    assert known[:-1, 0].std() == pytest.approx(1, abs=rounding(1, terms=60))


def test_eras_maximise_the_likelihood():
    users, items = np.zeros(2, np.int64), np.array([0, 1], np.int32)

    early, late, never = eras(users, items, np.arange(2), 3, np.ones(2, np.float32))

    # one pair and the prior: σ(−2s) = .1 s at ±s, divided by the standard deviation s
    assert (early, late) == pytest.approx((-1, 1), abs=rounding(1, terms=2))
    assert never == 0


def test_simultaneous_purchases_have_no_order_and_are_all_last():
    offsets, items = np.array([0, 2, 4]), np.array([0, 1, 1, 0], np.int32)
    times = np.array([5, 5, 9, 9])

    known = item_times(offsets, items, times, 2)

    assert (known[:, COLUMNS.index("era")] == 0).all()
    np.testing.assert_allclose(
        known[:2, COLUMNS.index("lasts")], np.log1p([2, 2]), atol=rounding(1, terms=2)
    )
    np.testing.assert_allclose(known[:2, 3], np.log(2.5 / 5), atol=rounding(1, terms=2))


def test_an_item_without_purchases_has_the_features_of_a_new_item():
    known = item_times(np.array([0, 2, 2]), np.array([0, 1], np.int32), np.arange(2), 3)

    np.testing.assert_array_equal(known[2], known[3])


def test_users_without_purchases_change_nothing():
    some = item_times(np.array([0, 2]), np.array([0, 1], np.int32), np.arange(2), 2)
    more = item_times(np.array([0, 0, 2, 2]), np.array([0, 1], np.int32), np.arange(2), 2)

    np.testing.assert_array_equal(some, more)


def test_an_item_newer_than_the_histories_has_the_newest_era():
    offsets, items = shoppers(np.random.default_rng(0))

    known = item_times(offsets, items, np.arange(len(items)), 60)

    assert known[-1, COLUMNS.index("era")] == known[:-1, COLUMNS.index("era")].max() > 1


def test_purchases_outweigh_views_in_the_order_and_in_the_counts():
    """Three users viewed item 0 after item 1, one bought them the other way round."""
    offsets, moments = np.array([0, 2, 4, 6, 8]), np.tile([0, 1], 4)
    items = np.array([1, 0, 1, 0, 1, 0, 0, 1], np.int32)
    strengths = np.repeat(np.array([0.125, 1], np.float32), [6, 2])

    known = demand_eras.item_times(offsets, items, moments, 2, strengths)

    era, lasts = known[:2, COLUMNS.index("era")], known[:2, COLUMNS.index("lasts")]
    assert era[0] < 0 < era[1]
    assert item_times(offsets, items, moments, 2)[0, 0] > 0
    np.testing.assert_allclose(lasts, np.log1p([0.375, 1]), atol=rounding(1, terms=4))
