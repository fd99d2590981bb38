from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from dataset.arrays import TRAIN
from generative.config import GenerativeConfig
from generative.fit import LengthBatches
from generative.sequences import Sequences
from tests.conftest import make_shop


@pytest.fixture(scope="module")
def shop():
    return make_shop(users=30)


def predicted(sequences):
    """Each sequence's pairs of the last item read and the item predicted, as the batch says."""
    batch = sequences.batch(np.arange(len(sequences)))
    return list(
        zip(batch.items.flatten()[batch.places].tolist(), batch.targets.tolist(), strict=True)
    )


def test_each_item_of_the_training_split_is_predicted_after_the_one_before(shop):
    sequences = Sequences.of(shop, 50)

    histories = [shop.history(user).tolist() for user in range(30)]
    expected = [pair for history in histories for pair in pairwise(history)]
    assert predicted(sequences) == expected


def test_items_of_one_moment_are_predicted_from_before_it(shop):
    moments = np.tile(np.array([0, 1, 1, 1, 2, 3, 4], np.int32), 30)

    sequences = Sequences.of(replace(shop, moments=moments), 50)

    first = shop.history(0).tolist()
    after = [(first[0], item) for item in first[1:4]] + [(first[3], first[4])]
    assert predicted(sequences)[:4] == after


def test_the_newest_items_of_a_long_history_are_kept(shop):
    sequences = Sequences.of(shop, 2)

    first = shop.history(0).tolist()
    assert sequences.items[: sequences.starts[1]].tolist() == first[-3:]
    assert predicted(sequences)[:2] == [(first[2], first[3]), (first[3], first[4])]


def test_every_epoch_has_every_sequence_once_in_another_order(shop):
    config = GenerativeConfig(batch_size=30, history_length=20)
    batches = LengthBatches(Sequences.of(shop, 20), config)

    epochs = []
    for epoch in (0, 1, 0):
        batches.sampler.set_epoch(epoch)  # as Lightning does
        epochs.append(list(batches))

    assert epochs[0] == epochs[2] != epochs[1]
    for parts in epochs:
        assert sorted(np.concatenate(parts).tolist()) == list(range(30))
        assert len(parts) == len(batches) == 5


def test_sequences_of_a_batch_are_alike_in_length(shop):
    kept = np.arange(len(shop.items)) % 7 < np.repeat(np.tile([3, 5], 15), 7)
    splits = np.where(kept, shop.splits, TRAIN + 2).astype(np.uint8)
    sequences = Sequences.of(replace(shop, splits=splits), 50)

    parts = sequences.cut(np.random.default_rng(0).permutation(30), 24)

    lengths = [np.unique(np.diff(sequences.starts)[part]) for part in parts]
    assert sum(len(of_batch) > 1 for of_batch in lengths) <= 1


def test_users_with_nothing_to_predict_are_left_out(shop):
    splits = np.where(shop.user_of == 4, 1 + TRAIN, shop.splits).astype(np.uint8)

    assert len(Sequences.of(replace(shop, splits=splits), 50)) == 29
