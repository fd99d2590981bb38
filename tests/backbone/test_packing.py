import numpy as np
import pytest
import torch

from backbone.load import load_bert
from backbone.packing import STEP, causal_mask, pack, padded_width
from tests.rounding import TINY_BERT, rounding

pytestmark = pytest.mark.numeric


def sequences(n, longest, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(5, 30, rng.integers(1, longest + 1)).astype(np.int32) for _ in range(n)]


def test_every_sequence_is_stored_whole_at_its_start():
    given = sequences(50, 12)
    packed = pack(given, width=16, filler=0)

    flat, positions = packed.ids.flatten().numpy(), packed.positions.flatten().numpy()
    for start, sequence in zip(packed.starts.tolist(), given, strict=True):
        span = slice(start, start + len(sequence))
        np.testing.assert_array_equal(flat[span], sequence)
        np.testing.assert_array_equal(positions[span], np.arange(len(sequence)))
    assert (packed.owners >= 0).sum() == sum(map(len, given))


def test_fewer_than_one_cell_in_twenty_is_empty():
    packed = pack(sequences(500, 30), width=32, filler=0)

    assert (packed.owners >= 0).float().mean() > 0.95


def test_a_packed_sequence_has_the_states_of_causal_attention_on_it_alone(tiny_bert):
    bert = load_bert(str(tiny_bert))
    given = sequences(9, 7)
    packed = pack(given, width=8, filler=0)

    together = bert(
        input_ids=packed.ids,
        position_ids=packed.positions,
        attention_mask=causal_mask(packed.owners),
    ).last_hidden_state.flatten(0, 1)

    for start, sequence in zip(packed.starts.tolist(), given, strict=True):
        for length in range(1, len(sequence) + 1):
            prefix = torch.from_numpy(sequence[:length].astype(np.int64))[None]
            causal = torch.ones(length, length, dtype=torch.bool).tril()[None, None]
            alone = bert(input_ids=prefix, attention_mask=causal).last_hidden_state[0]
            torch.testing.assert_close(
                together[start : start + length],
                alone,
                atol=rounding(alone, **TINY_BERT),
                rtol=0,
            )


@pytest.mark.parametrize("lengths", [[], [0], [3, 9]])
def test_sequences_that_do_not_fit_are_refused(lengths):
    with pytest.raises(ValueError, match="sequences must have 1 to 8"):
        pack([np.ones(n, np.int32) for n in lengths], width=8, filler=0)


def test_padded_widths_are_few_and_large_enough():
    widths = [padded_width(length, 51) for length in range(52)]

    assert all(width >= length for length, width in enumerate(widths))
    assert set(widths) == {*range(STEP, 51, STEP), 51}
