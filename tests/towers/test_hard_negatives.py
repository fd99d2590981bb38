import numpy as np
import pytest
import torch

from dataset.training_examples import training_examples
from tests.rounding import rounding
from towers.hard_negatives import LISTED, HardNegatives
from towers.inputs import Twins

pytestmark = pytest.mark.numeric


@pytest.fixture
def points(shop):
    return training_examples(shop)


@pytest.fixture
def mined(points):
    """Hard negatives of every third example by random embeddings, and the cosines of all items."""
    torch.manual_seed(0)
    items = torch.nn.functional.normalize(torch.randn(240, 8), dim=-1)
    chosen = np.arange(0, len(points), 3)
    users = torch.nn.functional.normalize(
        torch.randn(len(chosen), 8) + 2 * items[points.targets[chosen]], dim=-1
    )
    twins = Twins([np.array([row]) for row in range(240)])
    hard = HardNegatives(points, twins, items=240, margin=0.9)
    hard.renew(chosen, users, items)
    return hard, chosen, (users @ items.T).numpy()


def test_hard_negatives_are_the_best_items_below_the_margin(points, mined):
    hard, chosen, cosines = mined
    tolerance = rounding(cosines, terms=8)
    for place, point in enumerate(chosen.tolist()):
        if point not in hard._lists:
            continue
        rows = hard._lists[point]
        limit = 0.9 * cosines[place, points.targets[point]]
        assert (cosines[place, rows] < limit + tolerance).all()
        assert not np.isin(rows, points.positives(point)).any()
        others = np.setdiff1d(np.flatnonzero(cosines[place] < limit), points.positives(point))
        assert len(rows) <= LISTED
        assert cosines[place, rows].min() >= np.sort(cosines[place, others])[-len(rows)] - tolerance


def test_the_share_is_the_probability_of_being_drawn(points, mined):
    hard, _, _ = mined
    rng = np.random.default_rng(0)
    drawn = np.zeros(240)
    rounds = 300
    for _ in range(rounds):
        np.add.at(drawn, hard.draw(np.arange(len(points)), rng), 1)

    assert len(hard) > 50
    draws = rounds * len(points)
    error = np.sqrt(hard.share.max() / draws)  # standard error of the most frequent one's share
    np.testing.assert_allclose(drawn / draws, hard.share, atol=5 * error)


def test_examples_without_hard_negatives_draw_nothing(points):
    hard = HardNegatives(points, Twins([np.array([0])]), items=240, margin=0.9)

    assert len(hard.draw(np.arange(10), np.random.default_rng(0))) == 0
    assert not hard.share.any()
