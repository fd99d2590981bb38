from itertools import permutations

import numpy as np
import pytest

from online.exploration.plackett_luce import Exploration
from online.off_policy.logged import Logged
from online.off_policy.weights import inverse_examination, places_in, weights

SCORES = np.array([2.0, 1.0, 0.5, 0.3, 0.2, -0.5, -0.6])
ATTRACTION = np.array([0.5, 0.3, 0.4, 0.6, 0.2, 0.1, 0.7])
CURVE = np.array([1.0, 0.6, 0.3])
PLACES = 3


def every_answer(exploration):
    """All answers of the policy, with the probability of each item given those above."""
    answers, propensities = [], []
    chances = np.exp(SCORES[PLACES:] / exploration.temperature)
    for answer in permutations(range(len(SCORES)), PLACES):
        kept, told = 0, []
        for n, item in enumerate(answer):
            if item == kept:
                told.append(1 - exploration.share)
                kept += 1
            elif item >= PLACES:
                left = [other for other in range(PLACES, 7) if other not in answer[:n]]
                total = sum(chances[other - PLACES] for other in left)
                told.append(exploration.share * chances[item - PLACES] / total)
        if len(told) == PLACES:
            answers.append(answer)
            propensities.append(told)
    return np.array(answers), np.array(propensities)


@pytest.mark.parametrize(
    "ranking", [[0, 1, 2], [2, 0, 1], [6, 3, 0], [5, 6, 4], [1, 4, -1]], ids=str
)
@pytest.mark.parametrize("share", [0.1, 0.4])
def test_weighted_clicks_have_the_value_of_the_ranking_as_expectation(ranking, share):
    items, propensities = every_answer(Exploration(share=share, temperature=0.8))
    logged = Logged(
        users=np.arange(len(items)),
        items=items,
        propensities=propensities,
        rewards=ATTRACTION[items] * CURVE,
        shares=np.full(len(items), share),
    )
    chances = propensities.prod(axis=1)

    places = places_in(np.tile(ranking, (len(items), 1)), items)
    expected = chances @ (
        weights(places, CURVE, inverse_examination(logged, CURVE)) * logged.rewards
    ).sum(axis=1)

    assert chances.sum() == pytest.approx(1)
    shown = [item for item in ranking if item >= 0]
    assert expected == pytest.approx(ATTRACTION[shown] @ CURVE[: len(shown)])


def test_places_are_those_of_the_same_item_in_the_same_answer():
    ranking = np.array([[4, 2, -1], [1, 2, 3]])
    items = np.array([[2, 5, -1], [3, 2, 1]])

    assert places_in(ranking, items).tolist() == [[1, -1, -1], [2, 1, 0]]
