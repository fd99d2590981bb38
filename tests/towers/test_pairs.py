import numpy as np
import pytest

from backbone.load import load_tokenizer
from dataset.points import training_points
from towers.config import TowersConfig
from towers.pairs import PairCollator
from towers.train import text_inputs


@pytest.fixture
def collator(shop, tiny_bert):
    inputs = text_inputs(shop, load_tokenizer(str(tiny_bert)), TowersConfig(history_tokens=16))
    return PairCollator(points=training_points(shop), inputs=inputs, log_q=shop.log_q)


def test_accidental_hits_are_exactly_the_users_other_positives(collator, shop):
    points, chosen = collator.points, [0, 5, 17, 40, 63]

    hits = collator(chosen).accidental_hits.numpy()

    for row, p in enumerate(chosen):
        positives = set(shop.history(int(points.user_rows[p])).tolist())
        for column, q in enumerate(chosen):
            assert hits[row, column] == (int(points.targets[q]) in positives)


def test_a_batch_pairs_each_history_with_its_own_target(collator):
    batch = collator([3, 8])
    target = collator.points.targets[8]

    item = batch.items.ids[1][batch.items.mask[1].bool()].numpy()

    np.testing.assert_array_equal(item, collator.inputs.item(int(target)))
    assert batch.log_q[1] == collator.log_q[target]
