import numpy as np
import pytest
import torch

from backbone.batch import pad
from backbone.encode_texts import in_batches
from backbone.layers import states_below
from backbone.load import load_bert
from tests.rounding import TINY_BERT, rounding
from towers.frozen_states_cache import FrozenStatesCache, states_name
from towers.item_tower import ItemTower

pytestmark = pytest.mark.numeric


@pytest.fixture
def sequences():
    rng = np.random.default_rng(0)
    return [
        np.concatenate([[2], rng.integers(5, 14, n), [3]]).astype(np.int32)
        for n in rng.integers(1, 9, 40)
    ]


@pytest.fixture
def tower(tiny_bert):
    return ItemTower(load_bert(str(tiny_bert)), dimension=16).eval()


@pytest.mark.parametrize("layers", [1, 2])
def test_encoding_from_cached_states_equals_encoding_from_words(tower, sequences, tmp_path, layers):
    lengths, calls = np.array([len(sequence) for sequence in sequences]), []

    def below(rows):
        calls.append(len(rows))
        batch = pad([sequences[row] for row in rows], 0)
        return states_below(tower.bert, batch, trained_layers=layers)

    def states():
        path = tmp_path / "states.npy"
        return FrozenStatesCache.load_or_compute(
            path, lengths, 32, lambda: in_batches(below, lengths, "texts")
        )

    rows = np.array([7, 3, 39])
    found = tower.read_on(*states().of(rows), layers=layers)

    expected = tower.read(pad([sequences[row] for row in rows], 0))
    tolerance = rounding(expected, terms=512, stored=1, dtype=torch.float16)
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=0)
    assert sum(calls) == len(sequences)
    again = tower.read_on(*states().of(rows), layers=layers)
    torch.testing.assert_close(again, found, atol=rounding(found, **TINY_BERT), rtol=0)
    assert sum(calls) == len(sequences)


def test_an_interrupted_cache_is_not_written(sequences, tmp_path):
    lengths = np.array([len(sequence) for sequence in sequences])

    def killed():
        yield np.array([0]), torch.zeros(1, int(lengths[0]), 32)
        raise KeyError("killed")

    with pytest.raises(KeyError):
        FrozenStatesCache.load_or_compute(tmp_path / "states.npy", lengths, 32, killed)

    assert not list(tmp_path.iterdir())


def test_other_weights_texts_or_layers_have_another_file_name(tower, sequences):
    name = states_name(tower.bert, sequences, layers=1)
    assert states_name(tower.bert, sequences, layers=1) == name
    assert states_name(tower.bert, sequences, layers=2) != name
    assert states_name(tower.bert, sequences[::-1], layers=1) != name
    with torch.no_grad():
        next(tower.bert.parameters()).view(-1)[0] += 1

    assert states_name(tower.bert, sequences, layers=1) != name
