import math

import numpy as np
import pytest

from evaluation.baselines import ItemKNN
from evaluation.timed_baselines import DAY, TimedKNN, windowed_popularity_lists
from tests.rounding import rounding

ITEMS = 9


@pytest.fixture
def training():
    """Starts of 30 users and of their moments, and items."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 4, size=60)
    moments = np.cumsum([0, *sizes])
    items = np.concatenate([rng.permutation(ITEMS)[:size] for size in sizes]).astype(np.int32)
    return moments[::2], moments, items


def test_item_knn_halves_the_weight_of_a_purchase_with_its_half_life(training):
    users, moments, items = training
    history, days = np.array([2, 5, 7], np.int32), np.array([40, 10, 3])
    factors = np.linspace(1, 2, ITEMS, dtype=np.float32)

    found = TimedKNN.fit(users, moments, items, ITEMS, shrinkage=3).lists(
        [history], [days * DAY], ITEMS, half_life=10, boost=lambda case: factors
    )[0]

    by_user, by_moment = (
        ItemKNN.fit(starts, items, ITEMS, 3).similarity.toarray() for starts in (users, moments)
    )
    scores = sum(
        math.pow(0.5, age / 10) * (by_user[item] + by_moment[item]) * factors
        for item, age in zip(history, days, strict=True)
    )
    scores[history] = -1
    assert found[-3:].tolist() == [-1] * 3
    np.testing.assert_allclose(
        scores[found[:-3]], -np.sort(-scores)[:-3], atol=rounding(scores, terms=6)
    )


def test_windowed_popularity_follows_the_counts_of_each_now():
    counts = {10: np.array([0, 3, 5, 0]), 20: np.array([9, 0, 0, 0])}
    histories = [np.array([], np.int32), np.array([0], np.int32), np.array([2], np.int32)]

    found = windowed_popularity_lists(
        counts.__getitem__, np.array([1, 2, 3, 4]), histories, np.array([10, 20, 10]), 3
    )

    # items of equal counts follow by all purchases
    assert found.tolist() == [[2, 1, 3], [3, 2, 1], [1, 3, 0]]
