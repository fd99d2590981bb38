import numpy as np
import pytest
import torch

from backbone.adapters import fine_tuned
from backbone.batch import pad
from backbone.config import AdapterConfig, TrainingConfig
from backbone.layers import states_below
from backbone.load import load_bert
from ranker.late.shared_prefix import joined, prefix_states
from tests.rounding import TINY_BERT, rounding

pytestmark = pytest.mark.numeric


@pytest.fixture(params=["none", "bottleneck", "prefix"])
def bert(tiny_bert, request):
    torch.manual_seed(0)
    training = TrainingConfig(adapter=AdapterConfig(kind=request.param, width=4, vectors=3))
    bert = fine_tuned(load_bert(str(tiny_bert)), training, layers=1, total_steps=1)
    for parameter in bert.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return bert


def sequences(lengths, seed):
    rng = np.random.default_rng(seed)
    return [rng.integers(5, 30, size=n).astype(np.int32) for n in lengths]


PREFIXES = sequences([7, 3], 1)
CANDIDATES = sequences([2, 5, 3, 4, 1, 5], 2)  # three for each shopper


def candidate_states(bert, layers, candidates=CANDIDATES, prefixes=PREFIXES):
    prefix, items = pad(prefixes, 0), pad(candidates, 0)
    below = states_below(bert, items, trained_layers=layers)
    shape = (len(prefixes), -1)
    states = joined(
        bert,
        below.unflatten(0, shape),
        items.mask.bool().unflatten(0, shape),
        prefix_states(bert, prefix, joined_layers=layers),
        prefix.mask,
    )
    return states.flatten(0, 1)


def naive(bert, layers, prefix, candidate):
    """Candidate states from prefix and candidate in one sequence, with a full attention mask."""
    prefix_input = pad([prefix], 0)
    prefixes = prefix_states(bert, prefix_input, joined_layers=layers)
    own = states_below(bert, pad([candidate], 0), trained_layers=layers)
    mask = torch.ones(len(prefix) + len(candidate), len(prefix) + len(candidate)).bool()
    mask[: len(prefix), len(prefix) :] = False
    stack = bert.encoder.layer
    for layer, shared in zip(stack[len(stack) - layers :], prefixes, strict=True):
        both = torch.cat([shared, own], dim=1)
        own = layer(both, mask[None, None])[:, len(prefix) :]
    return own[0]


@pytest.mark.parametrize("layers", [1, 2])
def test_a_shared_prefix_equals_masked_attention_over_one_sequence(bert, layers):
    states = candidate_states(bert, layers)

    for position, candidate in enumerate(CANDIDATES):
        expected = naive(bert, layers, PREFIXES[position // 3], candidate)
        torch.testing.assert_close(
            states[position, : len(candidate)],
            expected,
            atol=rounding(expected, **TINY_BERT),
            rtol=0,
        )


def test_a_candidates_states_do_not_depend_on_the_other_candidates(bert):
    together = candidate_states(bert, 2)

    for position in (0, 4):
        alone = candidate_states(bert, 2, [CANDIDATES[position]], [PREFIXES[position // 3]])
        length = len(CANDIDATES[position])
        tolerance = rounding(together, **TINY_BERT)
        torch.testing.assert_close(
            alone[0, :length], together[position, :length], atol=tolerance, rtol=0
        )


def test_candidates_depend_on_their_own_shopper_alone(bert):
    first = candidate_states(bert, 2)
    other = candidate_states(bert, 2, prefixes=[PREFIXES[1], PREFIXES[1]])

    assert (first[0, :2] - other[0, :2]).abs().max() > 1e-3
    tolerance = rounding(first, **TINY_BERT)
    torch.testing.assert_close(first[3:, 0], other[3:, 0], atol=tolerance, rtol=0)
