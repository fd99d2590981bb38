import math

import numpy as np
import pytest

from evaluation.metrics import coverage, hits, ndcg, novelty, recall, reciprocal_rank

LISTS = np.array([[3, 1, 4, 0], [2, 5, -1, -1], [0, 1, 2, 3]], np.int32)
TARGETS = [np.array([4]), np.array([0]), np.array([1, 3, 5])]


@pytest.fixture
def random_case():
    """(200, 20) lists over 30 items, some of them short, with 1 to 6 targets per user."""
    rng = np.random.default_rng(0)
    lists = np.stack([rng.permutation(30)[:20] for _ in range(200)]).astype(np.int32)
    lists[np.arange(20) >= rng.integers(1, 21, size=(200, 1))] = -1
    targets = [rng.permutation(30)[: rng.integers(1, 7)].astype(np.int32) for _ in range(200)]
    return lists, targets


def test_hits_are_the_places_that_hold_a_target():
    expected = [[False, False, True, False], [False] * 4, [False, True, False, True]]
    np.testing.assert_array_equal(hits(LISTS, TARGETS), expected)


def test_recall_is_the_share_of_targets_among_the_first_k():
    np.testing.assert_allclose(recall(LISTS, TARGETS, 2), [0, 0, 1 / 3])
    np.testing.assert_allclose(recall(LISTS, TARGETS, 4), [1, 0, 2 / 3])


def test_ndcg_of_several_targets_is_relative_to_the_ideal_order():
    gained = 1 / math.log2(3) + 1 / math.log2(5)
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    np.testing.assert_allclose(ndcg(LISTS, TARGETS, 4), [1 / math.log2(4), 0, gained / ideal])


def test_ndcg_is_1_if_the_first_k_are_targets_although_more_exist():
    found = ndcg(np.array([[7, 2, 9]]), [np.array([9, 7, 2, 4, 5])], 2)

    np.testing.assert_allclose(found, [1.0])


def test_reciprocal_rank_uses_the_first_hit():
    np.testing.assert_allclose(reciprocal_rank(LISTS, TARGETS), [1 / 3, 0, 1 / 2])


def test_metrics_equal_plain_loops(random_case):
    lists, targets = random_case
    for k in (1, 3, 10, 20):
        found = {"recall": [], "ndcg": []}
        for row, target in zip(lists.tolist(), targets, strict=True):
            wanted = set(target.tolist())
            places = [place for place, item in enumerate(row[:k]) if item in wanted]
            ideal = sum(1 / math.log2(place + 2) for place in range(min(k, len(wanted))))
            found["recall"].append(len(places) / len(wanted))
            found["ndcg"].append(sum(1 / math.log2(place + 2) for place in places) / ideal)
        np.testing.assert_allclose(recall(lists, targets, k), found["recall"])
        np.testing.assert_allclose(ndcg(lists, targets, k), found["ndcg"])


def test_a_missing_item_is_never_a_hit():
    empty = np.full((2, 5), -1, np.int32)
    targets = [np.array([0]), np.array([4])]

    assert not hits(empty, targets).any()
    assert reciprocal_rank(empty, targets).sum() == 0
    assert coverage(empty, 10, 5) == 0


def test_places_beyond_a_short_list_are_misses():
    np.testing.assert_array_equal(recall(LISTS, TARGETS, 100), recall(LISTS, TARGETS, 4))


def test_coverage_counts_each_shown_item_once():
    assert coverage(LISTS, 10, 1) == pytest.approx(3 / 10)
    assert coverage(LISTS, 10, 2) == pytest.approx(5 / 10)


def test_novelty_is_the_mean_surprise_in_bits():
    popularity = np.array([3, 1, 1, 0, 0, 3])  # smoothed: 4, 2, 2, 1, 1, 4 of 14
    found = novelty(np.array([[0, 3, -1], [-1, -1, -1]]), popularity, 3)
    np.testing.assert_allclose(found, [(math.log2(14 / 4) + math.log2(14)) / 2, 0])


def test_an_item_twice_in_a_list_is_refused():
    with pytest.raises(ValueError, match="got row 7 twice in list 1"):
        hits(np.array([[1, 2, 3], [7, 0, 7]]), [np.array([1]), np.array([2])])


@pytest.mark.parametrize(
    ("lists", "targets", "message"),
    [
        (np.array([1, 2]), [np.array([1])], r"must be \(users, k\)"),
        (np.array([[1.0]]), [np.array([1])], "must be item rows, got float64"),
        (np.array([[-2]]), [np.array([1])], "item rows or -1, got -2"),
        (np.array([[1]]), [np.array([1])] * 2, "targets must have 1 users"),
        (np.array([[1]]), [np.array([], np.int32)], "at least one item, got none for user 0"),
        (np.array([[1]]), [np.array([3, 3])], "targets must be distinct"),
        (np.array([[1]]), [np.array([-1])], "targets must be item rows"),
    ],
)
def test_invalid_arrays_are_refused_by_name(lists, targets, message):
    with pytest.raises(ValueError, match=message):
        recall(lists, targets, 1)


def test_k_below_1_is_refused():
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        recall(LISTS, TARGETS, 0)


def test_a_row_outside_the_corpus_is_refused():
    with pytest.raises(ValueError, match=r"rows in \[0, 5\), got 5"):
        coverage(LISTS, 5, 4)


def test_graded_gains_count_by_their_relevance():
    lists = np.array([[7, 2, 9]])
    gains = [np.array([3.0, 1.0, 2.0], np.float32)]

    found = ndcg(lists, [np.array([9, 2, 4])], 3, gains)

    gained = 1.0 / math.log2(3) + 3.0 / math.log2(4)
    ideal = 3.0 + 2.0 / math.log2(3) + 1.0 / math.log2(4)
    np.testing.assert_allclose(found, [gained / ideal])


def test_equal_gains_are_the_binary_metric():
    ones = [np.ones(len(targets), np.float32) for targets in TARGETS]

    np.testing.assert_allclose(ndcg(LISTS, TARGETS, 4, ones), ndcg(LISTS, TARGETS, 4))
