from itertools import pairwise

import numpy as np
import pytest

from evaluation.baselines import ItemKNN
from index.item_knn import NeighbourLists, nearest_neighbours, next_items
from tests.rounding import rounding

ITEMS = 30


@pytest.fixture(scope="module")
def training():
    rng = np.random.default_rng(0)
    users = [rng.integers(ITEMS - 1, size=rng.integers(2, 9)) for _ in range(80)]
    return np.cumsum([0, *map(len, users)]), np.concatenate(users).astype(np.int32)


def test_with_all_pairs_stored_scores_equal_those_of_the_item_knn_baseline(training):
    neighbours = nearest_neighbours(*training, ITEMS, shrinkage=3, kept=ITEMS)
    history = np.array([4, 9, 2, 11], np.int32)

    rows, scores = neighbours.scores(history, decay=0.6)

    expected = ItemKNN.fit(*training, ITEMS, shrinkage=3).scores([history], decay=0.6)[0]
    dense = np.zeros(ITEMS, np.float32)
    dense[rows] = scores
    np.testing.assert_allclose(dense, expected, atol=rounding(expected, terms=4))
    assert (scores > 0).all()


def test_only_the_strongest_neighbours_are_stored_nearest_first(training):
    whole = ItemKNN.fit(*training, ITEMS, shrinkage=3).similarity.toarray()
    neighbours = nearest_neighbours(*training, ITEMS, shrinkage=3, kept=4)

    for item in range(ITEMS):
        mine = neighbours.weights[neighbours.starts[item] : neighbours.starts[item + 1]]
        strongest = np.sort(whole[item][whole[item] > 0])[::-1][:4]
        np.testing.assert_allclose(mine, strongest, atol=rounding(strongest, terms=1))


def test_saved_neighbours_load_with_the_same_scores(training, tmp_path):
    neighbours = nearest_neighbours(*training, ITEMS, shrinkage=3, kept=4)
    neighbours.save(tmp_path)
    history = np.array([4, 9], np.int32)

    rows, scores = NeighbourLists.load(tmp_path).scores(history, decay=0.7)

    np.testing.assert_array_equal(rows, neighbours.scores(history, decay=0.7)[0])
    np.testing.assert_array_equal(scores, neighbours.scores(history, decay=0.7)[1])


def test_an_item_without_purchases_and_an_empty_history_find_nothing(training):
    neighbours = nearest_neighbours(*training, ITEMS, shrinkage=3, kept=4)

    for history in ([], [ITEMS - 1]):
        rows, scores = neighbours.scores(np.array(history, np.int32), decay=0.7)
        assert len(rows) == len(scores) == 0


def test_storing_no_neighbours_is_refused(training):
    with pytest.raises(ValueError, match="kept"):
        nearest_neighbours(*training, ITEMS, shrinkage=3, kept=0)


def test_ages_whose_weight_is_0_are_not_read_and_long_histories_score_alike(training):
    neighbours = nearest_neighbours(*training, ITEMS, shrinkage=3, kept=ITEMS)
    history = np.random.default_rng(1).integers(ITEMS - 1, size=2_000).astype(np.int32)

    for decay in (0.5, 0.7, 0.99, 1):
        rows, scores = neighbours.scores(history, decay=decay)

        weights = np.float64(decay) ** np.arange(len(history))
        expected = np.zeros(ITEMS)
        for item, weight in zip(history[::-1].tolist(), weights, strict=True):
            own = slice(neighbours.starts[item], neighbours.starts[item + 1])
            expected[neighbours.rows[own]] += weight * neighbours.weights[own]
        np.testing.assert_array_equal(rows, np.flatnonzero(expected))
        np.testing.assert_allclose(scores, expected[rows], rtol=1e-5)
        known, quick = neighbours.scores(history, decay=decay, forgotten=False)
        np.testing.assert_array_equal(quick[quick > 0], scores[scores > 0])
        np.testing.assert_array_equal(known[quick > 0], rows[scores > 0])


def strengths_of(offsets, items, seed=1):
    """A random strength for each user and item, the same for repeats."""
    table = np.random.default_rng(seed).uniform(0.1, 1, (len(offsets) - 1, ITEMS))
    return table[np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)), items].astype(np.float32)


def test_strengths_of_1_give_the_same_lists(training):
    ones, options = np.ones(len(training[1]), np.float32), {"shrinkage": 3, "kept": 9}
    for lists in (nearest_neighbours, next_items):
        plain, weighted = (
            lists(*training, ITEMS, **options, strengths=strengths) for strengths in (None, ones)
        )
        for part in ("starts", "rows", "weights"):
            np.testing.assert_array_equal(getattr(plain, part), getattr(weighted, part))


def test_similarity_weighs_users_by_their_strengths(training):
    offsets, items = training
    strengths = strengths_of(offsets, items)
    dense = np.zeros((len(offsets) - 1, ITEMS))
    dense[np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)), items] = strengths

    found = ItemKNN.fit(offsets, items, ITEMS, 3, strengths)

    roots, counts = np.sqrt(dense), dense.sum(axis=0)
    expected = roots.T @ roots / (np.sqrt(np.outer(counts, counts)) + 3)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(found.similarity.toarray(), expected, rtol=1e-5)
    np.testing.assert_allclose(found.popularity, counts, rtol=1e-6)


def test_weighted_histories_score_as_the_baseline(training):
    neighbours = nearest_neighbours(*training, ITEMS, shrinkage=3, kept=ITEMS)
    history, weights = np.array([4, 9, 2], np.int32), np.array([0.125, 1, 0.375], np.float32)

    rows, scores = neighbours.scores(history, decay=0.6, weights=weights)

    knn = ItemKNN.fit(*training, ITEMS, shrinkage=3)
    expected = knn.scores([history], decay=0.6, weights=[weights])[0]
    dense = np.zeros(ITEMS, np.float32)
    dense[rows] = scores
    np.testing.assert_allclose(dense, expected, atol=rounding(expected, terms=4))


def test_lists_do_not_depend_on_the_size_of_the_blocks_they_are_computed_in(monkeypatch):
    chosen = np.random.default_rng(0)
    items = chosen.integers(60, size=900).astype(np.int32)
    offsets = np.sort(np.concatenate([[0, 900], chosen.integers(900, size=80)]))
    strengths = np.where(items % 3, 1, 0.5).astype(np.float32)
    whole = nearest_neighbours(offsets, items, 61, shrinkage=2, kept=7, strengths=strengths)

    monkeypatch.setattr("index.item_knn.BLOCK", 500)
    parts = nearest_neighbours(offsets, items, 61, shrinkage=2, kept=7, strengths=strengths)

    similarity = ItemKNN.fit(offsets, items, 61, 2, strengths).similarity.toarray()
    for item, (start, end) in enumerate(pairwise(parts.starts)):
        best = np.sort(similarity[item])[::-1][:7]
        np.testing.assert_array_equal(parts.weights[start:end], best[best > 0])
        np.testing.assert_array_equal(similarity[item, parts.rows[start:end]], best[best > 0])
    for part in ("starts", "rows", "weights"):
        np.testing.assert_array_equal(getattr(parts, part), getattr(whole, part))


def weights_of(lists, n_items):
    found = np.zeros((n_items, n_items), np.float32)
    found[np.repeat(np.arange(n_items), np.diff(lists.starts)), lists.rows] = lists.weights
    return found


def test_moments_of_one_item_are_counted_by_places_and_as_larger_moments_are():
    rng = np.random.default_rng(0)
    items, offsets = rng.integers(9, size=302).astype(np.int32), np.arange(31) * 10
    offsets = np.append(offsets, 302)
    options = {"shrinkage": 2.0, "kept": 9}

    plain = next_items(offsets, items, 9, **options)
    single = next_items(offsets, items, 9, moments=np.arange(302), **options)
    one_pair = np.append(np.arange(301), 300)  # the last user's moment has two items
    products = next_items(offsets, items, 9, moments=one_pair, **options)
    without = next_items(offsets[:-1], items[:300], 9, **options)

    for part in ("starts", "rows", "weights"):
        np.testing.assert_array_equal(getattr(single, part), getattr(plain, part))
    np.testing.assert_allclose(weights_of(products, 9), weights_of(without, 9), rtol=1e-5)


def test_what_comes_next_is_no_item_of_the_same_moment_whatever_the_order_within():
    """Users buy 0 and 1 at once, then 2, 3 and 4 at once, then 5."""
    moments = np.array([0, 0, 1, 1, 1, 2] * 2)
    offsets, orders = np.array([0, 6, 12]), ([0, 1, 2, 3, 4, 5], [1, 0, 4, 2, 3, 5])
    rows = [np.array([*order, *orders[0]], np.int32) for order in orders]

    found = [
        weights_of(next_items(offsets, row, 6, shrinkage=0.0, kept=6, moments=moments), 6)
        for row in rows
    ]

    np.testing.assert_array_equal(*found)
    share = np.float32(1 / 3) / np.float32(1.5)
    np.testing.assert_allclose(found[0][0], [0, 0, share, share, share, 1 / 3], rtol=1e-6)
    np.testing.assert_allclose(found[0][3], [0, 0, 0, 0, 0, 1], rtol=1e-6)
