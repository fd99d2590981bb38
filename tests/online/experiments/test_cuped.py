import numpy as np
import pytest

from online.estimate import difference, mean
from online.experiments.cuped import cuped


@pytest.fixture
def arms():
    """Values in the experiment and before it, correlated by .8; the second arm gains .5."""
    rng = np.random.default_rng(0)
    before = [rng.normal(5, 1, 3000), rng.normal(5, 1, 3000)]
    values = [0.8 * each + 0.6 * rng.normal(size=3000) for each in before]
    return [values[0], values[1] + 0.5], before


def test_the_variance_falls_by_the_squared_correlation(arms):
    values, before = arms

    adjusted = cuped(values, before)

    for plain, less in zip(values, adjusted, strict=True):
        assert less.var() / plain.var() == pytest.approx(1 - 0.8**2, rel=0.1)


def test_the_difference_stays_and_its_error_falls(arms):
    values, before = arms
    plain = difference(mean(values[1]), mean(values[0]))

    found = difference(*map(mean, reversed(cuped(values, before))))

    assert abs(found.value - 0.5) < 3 * found.standard_error < 3 * plain.standard_error
    assert found.standard_error == pytest.approx(0.6 * plain.standard_error, rel=0.05)


def test_a_figure_that_everyone_shares_changes_nothing(arms):
    values, before = arms

    for plain, found in zip(values, cuped(values, [np.ones(3000)] * 2), strict=True):
        np.testing.assert_array_equal(plain, found)
    with pytest.raises(ValueError, match="before must have the shapes"):
        cuped(values, [each[:10] for each in before])
