import numpy as np
import pytest
from scipy.special import expit

from evaluation.calibration import calibration_error, reliability
from ranker.fit_curve import FEWEST, MANY, fit_curve


def drawn(size, seed, offset=-2.0):
    """Scores, and events whose log-odds are a broken line of them."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 2, size).astype(np.float32)
    return scores, rng.random(size) < expit(np.where(scores > 0, 2 * scores, 0.2 * scores) + offset)


def test_the_probabilities_of_new_events_are_what_happens():
    curve = fit_curve(*drawn(20_000, 0))

    scores, happened = drawn(20_000, 1)

    assert calibration_error(reliability(curve(scores), happened)) < 0.015


def test_few_hits_make_a_smooth_curve_that_no_single_one_moves_to_1():
    scores, happened = drawn(400, 2, offset=-4.5)
    assert FEWEST <= happened.sum() < MANY

    curve = fit_curve(scores, happened)

    assert 0.2 < curve.probabilities[-1] < 1
    assert curve.probabilities[0] > 0


@pytest.mark.parametrize("size", [300, 20_000])
def test_a_higher_score_is_never_less_likely_and_the_ends_are_flat(size):
    scores, happened = drawn(size, 3)
    curve = fit_curve(scores, happened)

    found = curve(np.linspace(-50, 50, 1000))

    assert (np.diff(found) >= 0).all()
    assert found[0] == curve.probabilities[0]
    assert found[-1] == curve.probabilities[-1]


def test_scores_that_mislead_make_a_flat_curve():
    scores, happened = drawn(300, 4)

    curve = fit_curve(-scores, happened)

    assert np.ptp(curve.probabilities) < 1e-6
    assert curve.probabilities[0] == pytest.approx(happened.mean(), abs=0.02)


def test_too_few_hits_teach_nothing():
    scores, happened = np.arange(1000.0), np.arange(1000) < FEWEST - 1

    assert fit_curve(scores, happened) is None
    assert fit_curve(scores, np.ones(1000, bool)) is None
