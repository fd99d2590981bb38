from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from online.exploration.plackett_luce import Exploration, explore

SCORES = np.array([3.0, 2.0, 1.0, 0.5, 0.0, -1.0])
NEW = np.array([False, True, False, False, True, True])


def outcomes(exploration, new=None, draws=2500, length=3):
    """Number of draws of each answer, and its propensities."""
    rng = np.random.default_rng(0)
    counts, propensities = Counter(), {}
    for _ in range(draws):
        explored = explore(SCORES, length, exploration, rng, new=new)
        answer = tuple(explored.positions.tolist())
        counts[answer] += 1
        propensities.setdefault(answer, explored.propensities)
        np.testing.assert_array_equal(propensities[answer], explored.propensities)
    return counts, propensities


@pytest.mark.parametrize("new", [None, NEW])
def test_the_product_of_the_propensities_is_how_often_an_answer_is_shown(new):
    exploration = Exploration(share=0.4, temperature=1.5, new_share=0.6)

    counts, propensities = outcomes(exploration, new)

    expected = {answer: each.prod() for answer, each in propensities.items()}
    assert sum(expected.values()) == pytest.approx(1, abs=1e-3)  # the rarest answers may be missing
    often = [answer for answer in counts if expected[answer] > 0.002]
    seen = np.array([counts[answer] for answer in often])
    wanted = np.array([expected[answer] for answer in often])
    assert chisquare(seen, wanted / wanted.sum() * seen.sum()).pvalue > 0.001


def test_places_that_are_not_explored_show_the_list_in_its_order():
    counts, propensities = outcomes(Exploration(share=0.3))

    for answer in counts:
        kept = [position for position in answer if position < 3]
        assert kept == list(range(len(kept)))
        assert len(set(answer)) == 3
        for position, propensity in zip(answer, propensities[answer], strict=True):
            assert (propensity == 0.7) if position < 3 else (0 < propensity <= 0.3)


def test_the_share_of_the_places_is_explored_and_a_bounded_part_goes_to_new_items():
    counts, _ = outcomes(Exploration(share=0.3, new_share=0.5, temperature=0.1), NEW)

    places = [position for answer in counts.elements() for position in answer]
    drawn = [position for position in places if position >= 3]
    assert len(drawn) / len(places) == pytest.approx(0.3, abs=0.02)
    assert sum(NEW[drawn]) / len(places) == pytest.approx(0.3 * 0.5, abs=0.03)


def test_higher_temperatures_draw_worse_items():
    def worst(temperature):
        counts, _ = outcomes(Exploration(share=0.3, temperature=temperature), draws=800)
        return sum(5 in answer for answer in counts.elements())

    assert worst(0.3) < worst(1.0) < worst(10.0)


def test_an_item_far_behind_has_a_propensity_that_is_not_0():
    rng = np.random.default_rng(0)
    scores = np.array([1e9, 1e9, 1e6, 0.0])

    explored = [explore(scores, 2, Exploration(share=0.4), rng) for _ in range(200)]

    assert all((each.propensities > 0).all() for each in explored)
    assert any(3 in each.positions for each in explored)  # where the better one is drawn already


@pytest.mark.parametrize(("items", "share"), [(5, 0.4), (0, 0.4), (6, 0.0)])
def test_a_short_list_or_no_share_leaves_the_answer_alone(items, share):
    explored = explore(SCORES[:items], 3, Exploration(share=share), np.random.default_rng(0))

    assert explored.positions.tolist() == list(range(min(3, items)))
    assert (explored.propensities == 1).all()


def test_scores_must_be_finite():
    with pytest.raises(ValueError, match="scores must be finite"):
        explore(np.array([1.0, np.nan]), 1, Exploration(), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"share": 0.5}, "share must be at least 0 and below 0.5, got 0.5"),
        ({"temperature": 0}, "temperature must be positive, got 0"),
        ({"new_share": -1}, "new_share must be 0 to 1, got -1"),
    ],
)
def test_an_exploration_that_breaks_a_rule_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        Exploration(**changed)
