import numpy as np
import pytest

from classifier.targets import MISSING, UNKNOWN, Labels, Numbers

PATHS = ["a > b", "a > c", "d", "d > e > f", "a > b"]


def test_every_level_of_a_path_has_a_class_whose_parent_is_the_path_above():
    labels = Labels.of("category", PATHS, ">")

    assert labels.levels == (
        ("a", "d"),
        ("a > b", "a > c", "d", "d > e"),
        ("a > b", "a > c", "d", "d > e > f"),
    )
    assert [parents.tolist() for parents in labels.parents] == [
        [0, 0],
        [0, 0, 1, 1],
        [0, 1, 2, 3],
    ]


def test_codes_name_the_class_on_every_level():
    labels = Labels.of("category", PATHS, ">")

    codes = labels.codes(["d>e>f", "a > c", None, "new"])

    named = [[labels.levels[level][code] for level, code in enumerate(row)] for row in codes[:2]]
    assert named == [["d", "d > e", "d > e > f"], ["a", "a > c", "a > c"]]
    assert codes[2].tolist() == [MISSING] * 3
    assert codes[3].tolist() == [UNKNOWN] * 3


@pytest.mark.parametrize("separator", ["", "|"])
def test_labels_without_the_separator_have_one_level(separator):
    labels = Labels.of("label", ["x > y", "z"], separator)

    assert labels.levels == (("x > y", "z"),)
    assert labels.codes(["z", "x > y"]).tolist() == [[1], [0]]


def test_a_separator_in_few_labels_is_part_of_the_label():
    assert len(Labels.of("label", ["a", "b", "c", "width > 10"], ">").levels) == 1


def test_positive_skewed_numbers_are_learnt_as_logarithms():
    values = np.exp(np.random.default_rng(0).normal(size=500))

    assert Numbers.of("price", values, logarithm=None).logarithm
    assert not Numbers.of("price", values - 10, logarithm=None).logarithm
    assert not Numbers.of("price", np.arange(1.0, 100.0), logarithm=None).logarithm


def test_numbers_return_from_the_learnt_scale_to_their_units():
    values = np.array([0.5, 2.0, np.nan, 8.0])
    for logarithm in (True, False):
        numbers = Numbers.of("price", values, logarithm=logarithm)
        scaled = numbers.scaled(values)

        assert np.nanstd(scaled) == pytest.approx(1)
        np.testing.assert_allclose(numbers.in_units(scaled), values)


def test_the_logarithm_of_numbers_up_to_zero_is_refused():
    with pytest.raises(ValueError, match="logarithm must be auto or no"):
        Numbers.of("price", np.array([0.0, 1.0]), logarithm=True)
