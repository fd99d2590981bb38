import numpy as np
import pytest

from evaluation.classification import confusions, macro_f1, per_class, r_squared, reliability

TRUE, PREDICTED = np.array([0, 0, 0, 1, 1, -2]), np.array([0, 0, 1, 1, 0, 1])


def test_figures_of_a_class_are_counted_by_hand():
    figures = per_class(TRUE, PREDICTED, 4)

    assert figures.precision.tolist() == [2 / 3, 1 / 3, 0, 0]
    assert figures.recall.tolist() == [2 / 3, 1 / 2, 0, 0]
    assert figures.support.tolist() == [3, 2, 0, 0]
    assert figures.f1[:2] == pytest.approx([2 / 3, 2 / 5])
    assert macro_f1(figures) == pytest.approx((2 / 3 + 2 / 5) / 2)


def test_predictions_that_are_right_as_often_as_they_say_have_no_error():
    confidence = np.repeat([0.5, 0.9], 1000)
    right = np.concatenate([np.arange(1000) < 500, np.arange(1000) < 900])

    assert reliability(confidence, right).error == pytest.approx(0)
    assert reliability(np.ones(2000), right).error == pytest.approx(0.3)


def test_confusions_are_listed_by_frequency_without_right_and_new_labels():
    true, predicted, texts = confusions(np.array([0, 0, 1, 1, 1, -2]), np.array([1, 0, 2, 2, 0, 0]))

    assert list(zip(true, predicted, texts, strict=True)) == [(1, 2, 2), (0, 1, 1), (1, 0, 1)]


def test_predicting_the_mean_explains_nothing():
    true = np.arange(10.0)

    assert r_squared(true, true) == 1
    assert r_squared(true, np.full(10, true.mean())) == pytest.approx(0)
