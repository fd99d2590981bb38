import numpy as np
import pytest

from evaluation.calibration import calibration_error, reliability


def test_probabilities_that_come_true_have_no_error():
    bins = reliability(np.array([0.25] * 4 + [0.75] * 4), np.array([1, 0, 0, 0, 1, 1, 1, 0.0]))

    assert [(one["predicted"], one["happened"], one["count"]) for one in bins] == [
        (0.25, 0.25, 4),
        (0.75, 0.75, 4),
    ]
    assert calibration_error(bins) == 0


def test_the_error_is_the_mean_distance_of_the_predictions():
    bins = reliability(np.array([0.9] * 3 + [0.1]), np.array([1.0, 0, 0, 0.1]))

    assert calibration_error(bins) == pytest.approx(0.75 * (0.9 - 1 / 3))


def test_certain_events_are_in_the_last_bin():
    assert reliability(np.ones(2), np.ones(2))[0]["count"] == 2


def test_what_is_no_probability_is_refused():
    with pytest.raises(ValueError, match="probabilities must be within 0 and 1, got"):
        reliability(np.array([1.5]), np.ones(1))
    with pytest.raises(ValueError, match="happened must have the shape"):
        reliability(np.ones(2), np.ones(1))


def test_predictions_that_are_right_as_often_as_they_say_have_no_error():
    confidence = np.repeat([0.5, 0.9], 1000)
    right = np.concatenate([np.arange(1000) < 500, np.arange(1000) < 900])

    assert calibration_error(reliability(confidence, right)) == pytest.approx(0)
    assert calibration_error(reliability(np.ones(2000), right)) == pytest.approx(0.3)
