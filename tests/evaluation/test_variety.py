"""Variety of lists: exact on cases computed by hand, equal to plain loops on random ones."""

import time

import numpy as np
import pytest

from evaluation.variety import (
    intra_list_diversity,
    item_shares,
    miscalibration,
    serendipity,
    value_shares,
)

OF_ITEMS = item_shares(np.array([0, 1, 3, 4, 4]), np.array([0, 0, 1, 1]), 2)
"""Item 0 is of value 0, item 1 of both, item 2 of value 1, item 3 of none."""


def test_values_of_an_item_share_it_equally():
    np.testing.assert_array_equal(OF_ITEMS.toarray(), [[1, 0], [0.5, 0.5], [0, 1], [0, 0]])


def test_shares_of_values_leave_out_items_without_one_and_padding():
    found = value_shares(np.array([[0, 1, 3], [3, -1, -1], [2, 0, -1]]), OF_ITEMS)

    np.testing.assert_allclose(found.toarray(), [[0.75, 0.25], [0, 0], [0.5, 0.5]])


def test_fading_shares_weigh_places_as_ndcg_does():
    found = value_shares(np.array([[0, 2, -1]]), OF_ITEMS, fading=True).toarray()

    second = 1 / np.log2(3)
    np.testing.assert_allclose(found, [[1 / (1 + second), second / (1 + second)]])


def test_diversity_of_embeddings_is_the_mean_distance_of_pairs():
    vectors = np.array([[1, 0], [0, 2], [3, 0]], np.float32)  # lengths do not matter
    lists = np.array([[0, 1, 2], [0, 2, -1], [0, -1, -1], [-1, -1, -1]])

    found = intra_list_diversity(lists, vectors, 3)

    np.testing.assert_allclose(found, [2 / 3, 0, 0, 0], atol=1e-12)


def test_diversity_of_categories_is_1_for_pairs_without_a_common_one():
    lists = np.array([[0, 2, -1], [0, 3, -1], [0, 1, -1], [3, -1, -1]])

    found = intra_list_diversity(lists, OF_ITEMS, 3)

    np.testing.assert_allclose(found, [1, 1, 1 - 1 / np.sqrt(2), 0])


def test_diversity_equals_a_loop_over_pairs():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 8))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    lists = np.stack([rng.permutation(50)[:6] for _ in range(20)])

    found = intra_list_diversity(lists, vectors, 4)

    for of_user, value in zip(lists[:, :4], found, strict=True):
        pairs = [1 - unit[a] @ unit[b] for a in of_user for b in of_user if a < b]
        assert value == pytest.approx(np.mean(pairs))


def test_a_serendipitous_item_is_a_target_that_popularity_does_not_show():
    lists = np.array([[0, 1, 2, 3], [5, -1, -1, -1]])
    targets, popular = [np.array([1, 2]), np.array([6])], np.array([[2, 9, 1, 8], [5, 6, 7, 8]])

    np.testing.assert_allclose(serendipity(lists, targets, popular, 4), [0, 0])
    np.testing.assert_allclose(serendipity(lists, targets, popular, 2), [0.5, 0])  # 1 is unexpected
    with_fewer = serendipity(lists, targets, popular[:, :1], 4)
    np.testing.assert_allclose(with_fewer, [0.25, 0])


def test_a_list_like_the_history_is_calibrated_and_one_without_it_is_not():
    history = value_shares([np.array([0, 2]), np.array([0]), np.array([3])], OF_ITEMS)
    same = value_shares([np.array([2, 0]), np.array([2]), np.array([0])], OF_ITEMS)

    found = miscalibration(history, same)

    np.testing.assert_allclose(found, [0, np.log(100), np.nan], atol=1e-12)


def test_the_divergence_follows_its_definition():
    history = value_shares([np.array([0, 0, 0, 2])], OF_ITEMS)  # .75, .25
    shown = value_shares([np.array([0, 2])], OF_ITEMS)

    expected = 0.75 * np.log(0.75 / (0.9 * 0.5 + 0.1 * 0.75))
    expected += 0.25 * np.log(0.25 / (0.9 * 0.5 + 0.1 * 0.25))
    assert miscalibration(history, shown, smoothed=0.1)[0] == pytest.approx(expected)


def test_a_benchs_users_take_less_than_a_second():
    rng = np.random.default_rng(0)
    lists = np.argsort(rng.random((6000, 60)), axis=1)[:, :20] + 100 * rng.integers(
        9, size=(6000, 1)
    )
    vectors = rng.normal(size=(1000, 64)).astype(np.float32)
    of_items = item_shares(np.arange(1001), rng.integers(30, size=1000), 30)
    started = time.process_time()

    intra_list_diversity(lists, vectors, 20)
    intra_list_diversity(lists, of_items, 20)
    miscalibration(value_shares(list(lists), of_items), value_shares(lists[:, :10], of_items))
    serendipity(lists, [row[:2] for row in lists], lists[:, ::-1], 20)

    assert time.process_time() - started < 2
