import numpy as np
import pytest
from scipy.stats import binomtest

from answers.confidence import fitted, held_out
from answers.config import AnswersConfig
from answers.evidence import Similarities, evidence, title_groups
from answers.questions import Judged, Questions
from answers.threshold import curve, learnt_threshold, lower_bound


def test_the_curve_equals_counting():
    rng = np.random.default_rng(0)
    probabilities = rng.random(60).round(1)  # many ties
    right, weights = rng.random(60) < probabilities, rng.random(60)

    found = curve(probabilities, right, weights)

    np.testing.assert_array_equal(found.thresholds, np.unique(probabilities))
    for place, threshold in enumerate(found.thresholds):
        given = probabilities >= threshold
        share = weights[given & right].sum() / weights[given].sum()
        assert found.precision[place] == pytest.approx(share)
        assert found.coverage[place] == pytest.approx(weights[given].sum() / weights.sum())


def test_the_lower_bound_is_that_of_scipy():
    found = lower_bound(np.array([0.9, 1.0]), np.array([50.0, 20.0]), 0.95)

    tests = (binomtest(45, 50, alternative="greater"), binomtest(20, 20, alternative="greater"))
    expected = [one.proportion_ci(0.95, method="wilson").low for one in tests]
    np.testing.assert_allclose(found, expected)


def test_the_threshold_is_the_lowest_that_keeps_the_precision():
    probabilities = np.linspace(0, 1, 1001)
    right = np.random.default_rng(0).random(1001) < probabilities

    threshold = learnt_threshold(curve(probabilities, right, np.ones(1001)), 0.9, 0.95)

    # of calibrated probabilities from 0.8 on, 0.9 are right
    assert 0.8 < threshold < 0.88
    assert right[probabilities >= threshold].mean() >= 0.9


def test_few_questions_show_no_precision():
    found = curve(np.ones(20), np.ones(20, bool), np.ones(20))

    with pytest.raises(ValueError, match=r"got 0.9, but 1.000 of 20 answers show no more than 0.8"):
        learnt_threshold(found, 0.9, 0.95)


def test_probabilities_are_calibrated_and_rise_with_every_evidence():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4000, 2)) * [1, 10]
    chance = 1 / (1 + np.exp(-(2 * values[:, 0] + 0.1 * values[:, 1] - 1)))
    right = rng.random(4000) < chance

    found = fitted(values, right, np.ones(4000))

    assert np.abs(found(values) - chance).mean() < 0.02
    opposed = fitted(-values, right, np.ones(4000))
    assert opposed.weights == (0, 0)


def test_no_question_is_judged_by_a_fit_that_has_seen_it():
    values, right = np.linspace(-1, 1, 40)[:, None], np.arange(40) >= 20
    questions, weights = np.arange(40) // 2, np.ones(40)
    first = held_out(values, right, weights, questions)

    right[:2] = True  # those of the first question
    again = held_out(values, right, weights, questions)

    np.testing.assert_array_equal(first[:2], again[:2])
    assert (first[2:4] != again[2:4]).all()


def test_weights_make_the_wanted_share_unanswerable():
    answerable = np.array([True] * 6 + [False] * 2)
    nothing = np.zeros(8, bool)
    cases = Judged(
        values=np.zeros((8, 1)),
        right=nothing,
        answerable=answerable,
        left_out=nothing,
        questions=np.arange(8),
    )

    weights = cases.weights(0.3)

    assert weights.sum() == pytest.approx(1)
    assert weights[~answerable].sum() == pytest.approx(0.3)


def test_entries_of_one_title_do_not_lead_over_each_other():
    groups = title_groups(["Wash a mug", "wash  a Mug", "Sizes"])
    similar = Similarities(
        cosines=np.array([[0.9, 0.8, 0.3]], np.float32),
        words=np.array([[0.0, 0.0, 0.5]], np.float32),
        share=0.4,
    )

    found = evidence(similar, groups)

    assert found.best.tolist() == [0]
    np.testing.assert_allclose(found.values, [[0.9, 0, 0.4]], rtol=1e-6)
    without = evidence(similar.without([np.array([0, 1])]), groups)
    assert without.best.tolist() == [2]


@pytest.mark.parametrize("name", ["precision", "confidence", "unanswerable"])
@pytest.mark.parametrize("value", [0, 1, 1.5])
def test_shares_lie_between_0_and_1(name, value):
    with pytest.raises(ValueError, match=f"{name} must be within 0 and 1, got {value}"):
        AnswersConfig(**{name: value})


def test_equal_questions_count_once_with_the_entries_of_all():
    entries = [np.array(rows, np.int32) for rows in ([4], [1, 4], [], [2], [])]
    texts = ["A mug", "a  MUG ", "a mug", "a bag", "a b"]
    gains = [np.ones(len(rows), np.float32) for rows in entries]

    found = Questions(texts=texts, entries=entries, gains=gains).distinct

    assert found.texts == ["A mug", "a bag", "a b"]
    assert [rows.tolist() for rows in found.entries] == [[1, 4], [2], []]
    assert found.answerable.tolist() == [True, True, False]
