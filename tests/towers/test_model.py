import numpy as np
import torch

from backbone.batch import pad
from backbone.load import load_bert
from towers.encode import encode
from towers.model import Tower, build_two_tower


def texts(n, seed=0):
    rng = np.random.default_rng(seed)
    return [
        np.concatenate([[2], rng.integers(5, 14, rng.integers(1, 9)), [3]]).astype(np.int32)
        for _ in range(n)
    ]


def test_padding_does_not_change_an_embedding(tiny_bert):
    tower = Tower(load_bert(str(tiny_bert)), 16)
    short, long = np.array([2, 5, 3], np.int32), np.array([2, 5, 6, 7, 8, 9, 3], np.int32)

    alone, beside = tower(pad([short], 0))[0], tower(pad([short, long], 0))[0]

    torch.testing.assert_close(alone, beside, atol=1e-5, rtol=1e-4)


def test_an_untrained_tower_of_full_width_is_the_pretrained_mean(tiny_bert):
    bert = load_bert(str(tiny_bert))
    batch = pad([np.array([2, 5, 6, 3], np.int32)], 0)

    states = bert(input_ids=batch.ids, attention_mask=batch.mask).last_hidden_state
    expected = torch.nn.functional.normalize(states.mean(1), dim=-1)

    torch.testing.assert_close(Tower(bert, 32)(batch), expected)


def test_encoding_in_batches_keeps_the_order(tiny_bert):
    tower, sequences = Tower(load_bert(str(tiny_bert)), 16), texts(300)

    together = encode(tower, sequences, pad_id=0, description="texts")

    one_by_one = np.stack([tower(pad([s], 0))[0].detach().numpy() for s in sequences])
    np.testing.assert_allclose(together, one_by_one, atol=1e-5)


def test_the_towers_share_no_weights(tiny_bert):
    model = build_two_tower(
        str(tiny_bert), dimension=16, temperature=0.05, trained_layers=2, dropout=0.0
    )

    users = {id(p) for p in model.user_tower.parameters()}
    assert not users & {id(p) for p in model.item_tower.parameters()}
