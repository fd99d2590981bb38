import numpy as np
import pytest
import torch

from dataset.training_examples import training_examples
from tests.rounding import rounding
from towers.hard_negatives import LISTED, HardNegatives
from towers.inputs import Twins

pytestmark = pytest.mark.numeric


@pytest.fixture
def examples(shop):
    return training_examples(shop)


@pytest.fixture
def mined(examples):
    """Hard negatives of every third example by random embeddings, and the cosines of all items."""
    torch.manual_seed(0)
    items = torch.nn.functional.normalize(torch.randn(240, 8), dim=-1)
    chosen = np.arange(0, len(examples), 3)
    users = torch.nn.functional.normalize(
        torch.randn(len(chosen), 8) + 2 * items[examples.targets[chosen]], dim=-1
    )
    twins = Twins([np.array([row]) for row in range(240)])
    hard = HardNegatives(examples, twins, items=240, margin=0.9)
    hard.renew(chosen, users, items)
    return hard, chosen, (users @ items.T).numpy()


def test_hard_negatives_are_the_best_items_below_the_margin(examples, mined):
    hard, chosen, cosines = mined
    tolerance = rounding(cosines, terms=8)
    for place, example in enumerate(chosen.tolist()):
        if example not in hard._lists:
            continue
        rows = hard._lists[example]
        limit = 0.9 * cosines[place, examples.targets[example]]
        assert (cosines[place, rows] < limit + tolerance).all()
        assert not np.isin(rows, examples.positives(example)).any()
        others = np.setdiff1d(np.flatnonzero(cosines[place] < limit), examples.positives(example))
        assert len(rows) <= LISTED
        assert cosines[place, rows].min() >= np.sort(cosines[place, others])[-len(rows)] - tolerance


def test_the_share_is_the_probability_of_being_drawn(examples, mined):
    hard, _, _ = mined
    rng = np.random.default_rng(0)
    drawn = np.zeros(240)
    rounds = 300
    for _ in range(rounds):
        np.add.at(drawn, hard.draw(np.arange(len(examples)), rng), 1)

    assert len(hard) > 50
    draws = rounds * len(examples)
    error = np.sqrt(hard.share.max() / draws)  # standard error of the most frequent one's share
    np.testing.assert_allclose(drawn / draws, hard.share, atol=5 * error)


def test_examples_without_hard_negatives_draw_nothing(examples):
    hard = HardNegatives(examples, Twins([np.array([0])]), items=240, margin=0.9)

    assert len(hard.draw(np.arange(10), np.random.default_rng(0))) == 0
    assert not hard.share.any()
