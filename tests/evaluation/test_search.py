import numpy as np
import pytest

from evaluation import search
from evaluation.search import exact_search, top_k
from tests.rounding import rounding

pytestmark = pytest.mark.numeric


def test_exact_search_equals_sorting_everything(unit_vectors, monkeypatch):
    monkeypatch.setattr(search, "BLOCK", 7 * len(unit_vectors))  # several blocks, the last smaller
    queries = unit_vectors[:50]

    scores, found = exact_search(queries, unit_vectors, 20)

    product = queries @ unit_vectors.T
    np.testing.assert_array_equal(found, np.argsort(-product, axis=1)[:, :20])
    np.testing.assert_allclose(
        scores, -np.sort(-product, axis=1)[:, :20], atol=rounding(1, terms=16)
    )


def test_excluded_items_are_not_found(unit_vectors):
    queries = unit_vectors[:5]
    _, plain = exact_search(queries, unit_vectors, 10)
    exclude = [row[:n] for n, row in enumerate(plain)]

    _, found = exact_search(queries, unit_vectors, 5, exclude)

    for n in range(5):
        np.testing.assert_array_equal(found[n], plain[n, n : n + 5])


def test_missing_results_are_minus_1():
    scores, found = exact_search(np.ones((1, 2)), np.ones((4, 2)), 6, [np.array([0, 2])])

    assert set(found[0, :2].tolist()) == {1, 3}
    np.testing.assert_array_equal(found[0, 2:], [-1] * 4)
    np.testing.assert_array_equal(scores[0], [2, 2, *[-np.inf] * 4])


def test_equal_scores_are_in_random_order():
    _, found = exact_search(np.ones((1, 1)), np.ones((1000, 1)), 100)

    assert 400 < found.mean() < 600
    assert np.abs(np.diff(found[0])).mean() > 100
    again = exact_search(np.ones((1, 1)), np.ones((1000, 1)), 100)[1]
    np.testing.assert_array_equal(found, again)


def test_top_k_orders_ties_and_signs_by_value_then_preference():
    scores = np.array([[0.0, -0.0, -1.5, 2.0, -3.0, 2.0, -np.inf]], np.float32)

    best, found = top_k(scores, 7, np.arange(7))

    np.testing.assert_array_equal(found, [[5, 3, 1, 0, 2, 4, -1]])
    np.testing.assert_array_equal(best, [[2, 2, 0, 0, -1.5, -3, -np.inf]])


@pytest.mark.parametrize(
    ("queries", "corpus", "exclude", "message"),
    [
        (np.ones((1, 3)), np.ones((4, 2)), None, r"got \(1, 3\) and \(4, 2\)"),
        (np.ones((1, 2)), np.ones((0, 2)), None, "at least one item"),
        (np.array([[np.nan]]), np.ones((4, 1)), None, "must be finite"),
        (np.ones((1, 2)), np.ones((4, 2)), [], "exclude must have 1 arrays, got 0"),
        (np.ones((1, 2)), np.ones((4, 2)), [np.array([-1])], r"exclude must have rows in \[0, 4\)"),
        (np.ones((1, 2)), np.ones((4, 2)), [np.array([4])], r"exclude must have rows in \[0, 4\)"),
    ],
)
def test_invalid_arrays_are_refused_by_name(queries, corpus, exclude, message):
    with pytest.raises(ValueError, match=message):
        exact_search(queries, corpus, 1, exclude)
