import numpy as np
import pytest
from scipy.stats import ttest_ind

from evaluation.intervals import ratio_interval
from online.estimate import Estimate, difference, lift, linearised, mean


@pytest.fixture
def totals():
    """Clicks and exposures of 2,000 users; who is exposed more clicks more."""
    rng = np.random.default_rng(0)
    exposures = rng.poisson(3 * rng.lognormal(size=2000)) + 0.0
    return rng.binomial(exposures.astype(int), 0.02 * np.minimum(exposures, 20)) + 0.0, exposures


def test_the_error_of_a_rate_is_that_of_a_bootstrap_over_users(totals):
    clicks, exposures = totals

    found = mean(linearised(clicks, exposures)).interval()

    bootstrapped = ratio_interval(clicks, exposures)
    assert found["value"] == pytest.approx(clicks.sum() / exposures.sum())
    assert found["low"] == pytest.approx(bootstrapped["low"], rel=0.05)
    assert found["high"] == pytest.approx(bootstrapped["high"], rel=0.05)


def test_exposures_taken_for_independent_would_promise_too_narrow_an_interval(totals):
    clicks, exposures = totals
    rate = clicks.sum() / exposures.sum()

    naive = (rate * (1 - rate) / exposures.sum()) ** 0.5

    assert mean(linearised(clicks, exposures)).standard_error > 1.5 * naive


def test_a_difference_of_means_has_the_p_value_of_welchs_test():
    rng = np.random.default_rng(1)
    control, treatment = rng.normal(size=900), rng.normal(0.1, 2, size=1100)

    found = difference(mean(treatment), mean(control))

    assert found.p_value == pytest.approx(
        ttest_ind(treatment, control, equal_var=False).pvalue, rel=0.02
    )
    assert found.users == 2000


def test_a_lift_is_the_difference_as_a_share_of_the_control():
    control = Estimate(value=2.0, standard_error=0.02, users=100)
    treatment = Estimate(value=2.2, standard_error=0.03, users=100)

    found = lift(treatment, control)

    drawn = np.random.default_rng(0).normal([2.2, 2.0], [0.03, 0.02], (100_000, 2))
    assert found.value == pytest.approx(0.1)
    assert found.standard_error == pytest.approx((drawn[:, 0] / drawn[:, 1]).std(), rel=0.02)
    with pytest.raises(ValueError, match="control must have a positive value, got -1"):
        lift(treatment, Estimate(value=-1.0, standard_error=1.0, users=10))


def test_one_user_says_nothing_about_the_error():
    assert mean(np.array([3.0])).interval() == {"value": 3.0, "low": -np.inf, "high": np.inf}


@pytest.mark.parametrize("values", [np.empty(0), np.array([1.0, np.nan])])
def test_values_must_be_there_and_finite(values):
    with pytest.raises(ValueError, match="values must be"):
        mean(values)


def test_a_rate_needs_an_exposure():
    with pytest.raises(ValueError, match="denominators must be at least 0, and one positive"):
        linearised(np.zeros(3), np.zeros(3))
