import numpy as np
import pytest

from evaluation.exposure import exposure, gini, lorenz, popularity_bands


def test_exposure_is_the_attention_that_ndcg_gives_to_places():
    found = exposure(np.array([[0, 1, -1], [0, 2, 1]]), 4, 2)

    np.testing.assert_allclose(found, [2, 1 / np.log2(3), 1 / np.log2(3), 0])


@pytest.mark.parametrize(
    ("amounts", "value"),
    [([1, 1, 1, 1], 0), ([0, 0, 0, 5], 0.75), ([1, 3], 0.25), ([0, 0], 0), ([3, 1, 2], 2 / 9)],
)
def test_gini_of_amounts(amounts, value):
    assert gini(np.array(amounts, float)) == pytest.approx(value)


def test_gini_is_twice_the_area_above_the_lorenz_curve():
    amounts = np.random.default_rng(0).pareto(1.5, size=500)

    curve = lorenz(amounts, 501)

    assert (curve[0], curve[-1]) == (0, 1)
    assert gini(amounts) == pytest.approx(1 - 2 * np.trapezoid(curve, np.linspace(0, 1, 501)))


def test_the_lorenz_curve_starts_with_the_least():
    np.testing.assert_allclose(lorenz(np.array([3.0, 0, 1, 0]), 5), [0, 0, 0, 0.25, 1])


def test_bands_of_popularity_have_the_same_share_of_the_purchases():
    popularity = np.array([0, 10, 5, 5, 4, 4, 2, 0, 5, 5])

    band, names = popularity_bands(popularity)

    assert band.tolist() == [4, 0, 1, 1, 3, 3, 3, 4, 2, 2]
    assert names[0] == "best sellers: 1 item"
    assert names[-1] == "never bought before: 2 items"
    assert [popularity[band == b].sum() for b in range(4)] == [10, 10, 10, 10]


def test_nothing_bought_is_one_band():
    assert popularity_bands(np.zeros(3))[0].tolist() == [4, 4, 4]
