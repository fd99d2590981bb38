import math
from itertools import pairwise

import numpy as np
import pytest

from evaluation import baselines
from evaluation.baselines import ItemKNN, popularity_lists, popularity_rank
from tests.rounding import rounding

ITEMS = 12


@pytest.fixture
def training():
    """Offsets and items of 40 users with 2 to 7 interactions each, including repeats."""
    rng = np.random.default_rng(0)
    users = [rng.integers(ITEMS - 1, size=rng.integers(2, 8)) for _ in range(40)]
    return np.cumsum([0, *map(len, users)]), np.concatenate(users).astype(np.int32)


def looped_scores(offsets, items, histories, *, shrinkage, decay):
    taken = [set(items[a:b].tolist()) for a, b in pairwise(offsets)]
    count = [sum(item in user for user in taken) for item in range(ITEMS)]
    scores = np.zeros((len(histories), ITEMS))
    for user, history in enumerate(histories):
        for age, item in enumerate(reversed(history.tolist())):
            for other in range(ITEMS):
                if other != item:
                    shared = sum(item in user and other in user for user in taken)
                    cosine = shared / (math.sqrt(count[item] * count[other]) + shrinkage)
                    scores[user, other] += decay**age * cosine
    return scores


def test_item_knn_equals_plain_loops(training, monkeypatch):
    monkeypatch.setattr(baselines, "BLOCK", 3 * ITEMS)
    rng = np.random.default_rng(1)
    histories = [rng.permutation(ITEMS - 1)[:n].astype(np.int32) for n in (1, 2, 5, 3, 4, 1, 6)]

    knn = ItemKNN.fit(*training, ITEMS, shrinkage=3)
    found = knn.lists(histories, 5, decay=0.6)

    scores = looped_scores(*training, histories, shrinkage=3, decay=0.6)
    tolerance = rounding(scores, terms=6)
    np.testing.assert_allclose(knn.scores(histories, decay=0.6), scores, atol=tolerance)
    for row, history, score in zip(found, histories, scores, strict=True):
        score[history] = -1
        np.testing.assert_allclose(score[row], -np.sort(-score)[:5], atol=tolerance)


def test_similarity_is_symmetric_with_a_zero_diagonal(training):
    similarity = ItemKNN.fit(*training, ITEMS).similarity.toarray()

    np.testing.assert_allclose(similarity, similarity.T, atol=rounding(similarity, terms=1))
    assert not similarity.diagonal().any()


def test_item_knn_fills_lists_with_popular_items():
    offsets, items = np.array([0, 2, 5, 7]), np.array([0, 1, 2, 3, 4, 2, 3], np.int32)
    knn = ItemKNN.fit(offsets, items, 7)

    found = knn.lists([np.array([0], np.int32)], 7)[0].tolist()

    assert found[0] == 1  # the only item that shares a user
    assert set(found[1:3]) == {2, 3}  # two users each
    assert found[3] == 4
    assert set(found[4:6]) == {5, 6}  # no users
    assert found[6] == -1


def test_newer_purchases_weigh_more():
    offsets, items = np.array([0, 2, 4]), np.array([0, 1, 2, 3], np.int32)
    knn = ItemKNN.fit(offsets, items, 4)

    np.testing.assert_array_equal(knn.lists([np.array([0, 2])], 2), [[3, 1]])
    np.testing.assert_array_equal(knn.lists([np.array([2, 0])], 2), [[1, 3]])


def test_negative_shrinkage_is_an_error(training):
    with pytest.raises(ValueError, match="shrinkage must be at least 0, got -1"):
        ItemKNN.fit(*training, ITEMS, shrinkage=-1)


def test_popularity_lists_leave_out_the_history():
    popularity = np.array([5, 1, 9, 7])

    found = popularity_lists(popularity, [np.array([2]), np.array([0, 1, 3])], 3)

    np.testing.assert_array_equal(found, [[3, 0, 1], [2, -1, -1]])


def test_equally_popular_items_are_in_random_order():
    ranks = popularity_rank(np.ones(1000, np.int64))

    assert sorted(ranks) == list(range(1000))
    assert abs(np.corrcoef(ranks, np.arange(1000))[0, 1]) < 0.1
    assert (ranks != popularity_rank(np.ones(1000, np.int64), seed=1)).any()
