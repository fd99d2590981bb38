import numpy as np
import pytest
import torch

from backbone.batch import pad
from backbone.load import load_bert, states_below
from backbone.reading import in_batches
from towers.encode import encode
from towers.item_tower import ItemTower
from towers.kept_texts import KeptTexts

CPU = torch.device("cpu")


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


def read(tower, sequences, kept, calls=None, fail_after=None):
    def counted(batch):
        if fail_after is not None and len(calls) == fail_after:
            raise KeyError("killed")
        if calls is not None:
            calls.append(len(batch.ids))
        return tower.read(batch)

    return encode(counted, sequences, pad_id=0, device=CPU, description="texts", kept=kept)


def test_what_is_kept_is_what_is_read_and_is_not_read_again(tower, sequences, tmp_path):
    kept = KeptTexts.of(tmp_path, tower.bert, sequences)
    first, calls = read(tower, sequences, kept), []

    again = read(tower, sequences, kept, calls)

    assert not calls
    torch.testing.assert_close(again, first, rtol=0, atol=0)
    torch.testing.assert_close(first, read(tower, sequences, None))


def test_a_killed_reading_goes_on_where_it_stopped(tower, sequences, tmp_path, monkeypatch):
    monkeypatch.setattr("backbone.reading.TOKEN_BUDGET", 40)
    kept, before, after = KeptTexts.of(tmp_path, tower.bert, sequences), [], []
    with pytest.raises(KeyError):
        read(tower, sequences, kept, before, fail_after=3)

    states = read(tower, sequences, kept, after)

    assert len(before) == 3
    assert sum(before) + sum(after) == len(sequences)
    torch.testing.assert_close(states, read(tower, sequences, None))


@pytest.mark.parametrize("layers", [1, 2])
def test_from_the_states_below_a_text_is_read_as_from_its_words(tower, sequences, tmp_path, layers):
    kept = KeptTexts.of(tmp_path, tower.bert, sequences)
    lengths, calls = np.array([len(sequence) for sequence in sequences]), []

    def below(rows):
        calls.append(len(rows))
        batch = pad([sequences[row] for row in rows], 0)
        return states_below(tower.bert, batch, trained_layers=layers)

    def states():
        return kept.token_states(lengths, 32, layers, lambda: in_batches(below, lengths, "texts"))

    rows = np.array([7, 3, 39])
    found = tower.read_on(*states().of(rows), layers=layers)

    expected = tower.read(pad([sequences[row] for row in rows], 0))
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)
    assert sum(calls) == len(sequences)
    torch.testing.assert_close(tower.read_on(*states().of(rows), layers=layers), found)
    assert sum(calls) == len(sequences)


def test_states_that_were_not_all_read_are_not_kept(tower, sequences, tmp_path):
    kept = KeptTexts.of(tmp_path, tower.bert, sequences)
    lengths = np.array([len(sequence) for sequence in sequences])

    def killed():
        yield np.array([0]), torch.zeros(1, int(lengths[0]), 32)
        raise KeyError("killed")

    with pytest.raises(KeyError):
        kept.token_states(lengths, 32, 1, killed)

    assert not list(kept.folder.glob("*.npy"))


def test_other_weights_and_other_texts_are_kept_elsewhere(tower, sequences, tmp_path):
    folder = KeptTexts.of(tmp_path, tower.bert, sequences).folder
    assert KeptTexts.of(tmp_path, tower.bert, sequences).folder == folder
    assert KeptTexts.of(tmp_path, tower.bert, sequences[::-1]).folder != folder
    with torch.no_grad():
        next(tower.bert.parameters()).view(-1)[0] += 1

    assert KeptTexts.of(tmp_path, tower.bert, sequences).folder != folder
