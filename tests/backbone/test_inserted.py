import pytest
import torch
from safetensors.torch import load_file

from backbone.adapters import fine_tuned
from backbone.batch import pad
from backbone.config import AdapterConfig, TrainingConfig
from backbone.inserted import insert
from backbone.kinds import keep_layers
from backbone.layers import states_below, token_states
from backbone.load import empty_bert, load_bert, load_tokenizer, save_backbone
from backbone.optimizer import optimizer_of
from tests.conftest import save_bert
from tests.rounding import TINY_BERT, rounding
from tests.tiny_backbones import KINDS, save_tiny

pytestmark = pytest.mark.numeric

IDS = torch.tensor([[2, 5, 6, 7, 3], [2, 8, 3, 0, 0]])
MASK = (IDS > 0).long()


def adapted(folder, kind, *, layers=1):
    adapter = AdapterConfig(kind=kind, width=4, vectors=3)
    return fine_tuned(
        load_bert(str(folder)), TrainingConfig(adapter=adapter), layers=layers, total_steps=9
    )


def states(bert):
    return token_states(bert, IDS, MASK, torch.zeros_like(IDS))


def train(bert, steps=3):
    optimizer = torch.optim.Adam([p for p in bert.parameters() if p.requires_grad], lr=0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        states(bert).square().sum().backward()
        optimizer.step()
    return bert


@pytest.fixture(scope="module", params=list(KINDS))
def backbone(request, tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp(request.param), request.param)


@pytest.mark.parametrize("kind", ["bottleneck", "prefix"])
def test_a_saved_backbone_has_its_parts_and_the_same_output(backbone, kind, tmp_path):
    if backbone.name.startswith("gpt2") and kind == "prefix":
        with pytest.raises(ValueError, match="'prefix' for a backbone of the kind 'gpt2'"):
            adapted(backbone, kind)
        return
    bert = adapted(backbone, kind)
    before = states(bert).detach()
    after = states(train(bert)).detach()
    save_backbone(tmp_path, bert, load_tokenizer(str(backbone)))

    loaded, empty = load_bert(str(tmp_path)), empty_bert(tmp_path)
    empty.load_state_dict(load_file(tmp_path / "model.safetensors"))

    assert not torch.allclose(before, after, atol=1e-4)
    tolerance = rounding(after, **TINY_BERT)
    for found in (loaded, empty):
        torch.testing.assert_close(states(found).detach(), after, atol=tolerance, rtol=0)


@pytest.mark.parametrize("kept", [(0, 3), (0, 1), (1, 2, 3)])
@pytest.mark.parametrize("kind", ["bottleneck", "prefix"])
def test_a_saved_backbone_of_fewer_layers_has_the_parts_that_are_left(tmp_path, kind, kept):
    save_bert(tmp_path / "whole", layers=4, hidden=32, heads=2)
    bert = train(adapted(tmp_path / "whole", kind, layers=2))
    keep_layers(bert, kept)
    expected = states(bert).detach()

    save_backbone(tmp_path / "saved", bert, load_tokenizer(str(tmp_path / "whole")))

    found = states(load_bert(str(tmp_path / "saved"))).detach()
    torch.testing.assert_close(found, expected, atol=rounding(expected, **TINY_BERT), rtol=0)


def test_bottlenecks_add_nothing_at_the_start(tiny_bert):
    expected = states(load_bert(str(tiny_bert)))

    found = states(adapted(tiny_bert, "bottleneck"))

    torch.testing.assert_close(found, expected, atol=rounding(expected, **TINY_BERT), rtol=0)


@pytest.mark.parametrize("kind", ["bottleneck", "prefix", "bitfit"])
def test_only_parts_of_the_top_layers_are_trained_at_their_own_rate(tiny_bert, kind):
    bert = adapted(tiny_bert, kind)
    config = TrainingConfig(learning_rate=1e-3, new_learning_rate=1e-2)

    optimizer, _ = optimizer_of(torch.nn.ModuleDict({"bert": bert}), config, 9)

    trained = {name for name, p in bert.named_parameters() if p.requires_grad}
    wanted = {"bottleneck": "bottleneck", "prefix": ".prefix.", "bitfit": "bias"}[kind]
    assert trained
    assert all(wanted in name and ".layer.1." in name for name in trained)
    rates = {group["initial_lr"] for group in optimizer.param_groups}
    assert rates == {1e-3 if kind == "bitfit" else 1e-2}


def test_a_prefix_equals_tokens_with_these_keys_and_values(tiny_bert):
    bert = train(adapted(tiny_bert, "prefix", layers=2))
    attention = bert.encoder.layer[1].attention.self
    hidden = torch.randn(1, 4, 32, generator=torch.manual_seed(0))

    with torch.no_grad():
        found, _ = attention(hidden, torch.ones(1, 1, 1, 4, dtype=torch.bool))
        query, key, value = (
            project(hidden).view(4, 2, 16).transpose(0, 1)
            for project in (attention.query, attention.key, attention.value)
        )
        keys = torch.cat([attention.prefix.keys, key], dim=1)
        values = torch.cat([attention.prefix.values, value], dim=1)
        expected = (query @ keys.transpose(1, 2) / 4).softmax(dim=-1) @ values

    torch.testing.assert_close(
        found[0], expected.transpose(0, 1).flatten(1), atol=rounding(expected, **TINY_BERT), rtol=0
    )


@pytest.mark.parametrize("kind", ["bottleneck", "prefix"])
def test_padding_and_the_split_path_change_nothing(tiny_bert, kind):
    bert = train(adapted(tiny_bert, kind))
    alone = pad([IDS[1, :3].numpy()], 0)

    with torch.no_grad():
        together = states(bert)[1, :3]
        split = states_below(bert, alone, trained_layers=0)[0]

    torch.testing.assert_close(split, together, atol=rounding(together, **TINY_BERT), rtol=0)


def test_parts_are_inserted_once(tiny_bert):
    bert = adapted(tiny_bert, "bottleneck")

    with pytest.raises(ValueError, match="already has 'bottleneck'"):
        insert(bert, kind="prefix", size=2, layers=1)


def test_a_backbone_without_biases_is_refused_by_bitfit(tmp_path):
    with pytest.raises(ValueError, match="no biases"):
        adapted(save_tiny(tmp_path / "modernbert", "modernbert"), "bitfit")
