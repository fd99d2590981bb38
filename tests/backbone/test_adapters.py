import pytest
import torch

from backbone.adapters import fine_tuned, merged, orthogonality, reallocate
from backbone.config import AdapterConfig, TrainingConfig
from backbone.load import load_bert
from tests.rounding import TINY_BERT, rounding

pytestmark = pytest.mark.numeric

IDS = torch.tensor([[2, 5, 6, 7, 3]])


def adapted(tiny_bert, kind, *, layers=1, rank=4, total_steps=30):
    training = TrainingConfig(adapter=AdapterConfig(kind=kind, rank=rank))
    bert = load_bert(str(tiny_bert))
    return fine_tuned(bert, training, layers=layers, total_steps=total_steps)


def states(bert):
    return bert(input_ids=IDS).last_hidden_state


def train(bert, steps):
    """Train the states towards zero."""
    optimizer = torch.optim.Adam([p for p in bert.parameters() if p.requires_grad], lr=0.01)
    for step in range(steps):
        optimizer.zero_grad()
        (states(bert).square().sum() + orthogonality(bert)).backward()
        optimizer.step()
        reallocate(bert, step)


@pytest.mark.parametrize("kind", ["lora", "adalora"])
def test_a_new_adapter_does_not_change_the_backbone(tiny_bert, kind):
    expected = states(load_bert(str(tiny_bert)))
    tolerance = rounding(expected, **TINY_BERT)
    torch.testing.assert_close(states(adapted(tiny_bert, kind)), expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize("kind", ["lora", "adalora"])
def test_only_adapters_of_the_top_layers_are_trained(tiny_bert, kind):
    bert = adapted(tiny_bert, kind)

    trained = {name for name, p in bert.named_parameters() if p.requires_grad}

    assert trained
    assert all("lora_" in name and ".layer.1." in name for name in trained)


@pytest.mark.parametrize("kind", ["lora", "adalora"])
def test_a_merged_backbone_is_a_plain_one_with_the_same_output(tiny_bert, kind):
    bert = adapted(tiny_bert, kind)
    before = states(bert).detach()
    train(bert, 30)
    trained = states(bert).detach()

    plain = merged(bert)

    assert type(plain) is type(load_bert(str(tiny_bert)))
    assert not torch.allclose(trained, before, atol=1e-3)
    torch.testing.assert_close(states(plain), trained, atol=rounding(trained, **TINY_BERT), rtol=0)


def test_adalora_ends_at_the_configured_mean_rank(tiny_bert):
    bert = adapted(tiny_bert, "adalora", rank=4, total_steps=60)

    train(bert, 60)

    ranks = [int((p != 0).sum()) for name, p in bert.named_parameters() if "lora_E" in name]
    assert sum(ranks) / len(ranks) == pytest.approx(4, abs=0.5)


def test_without_adapters_there_is_no_penalty(tiny_bert):
    assert orthogonality(load_bert(str(tiny_bert))) == 0.0


def test_a_rank_of_zero_is_refused():
    with pytest.raises(ValueError, match="rank"):
        AdapterConfig(rank=0)
