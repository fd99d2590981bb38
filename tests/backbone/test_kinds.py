"""Every kind of backbone is loaded, encodes, is trained in its top layers, saved and loaded."""

import logging

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AlbertConfig, AlbertModel, ModernBertConfig, ModernBertModel

from backbone.adapters import fine_tuned, merged
from backbone.batch import pad
from backbone.config import AdapterConfig, TrainingConfig
from backbone.encode_texts import encode_texts
from backbone.kinds import is_causal, keep_layers, splits, stack_of
from backbone.layers import states_of, token_states
from backbone.load import (
    _say_what_is_slower,
    empty_bert,
    load_bert,
    load_tokenizer,
    save_backbone,
)
from backbone.optimizer import optimizer_of
from backbone.tokens import SpecialTokens, history_input, item_input, tokenize
from tests.rounding import SERVED, TINY_BERT, least_cosine, rounding
from tests.tiny_backbones import BERT, HIDDEN, KINDS, LINES, save_tiny

pytestmark = pytest.mark.numeric
TEXTS = [*LINES[:40], "red", "красная кружка lamp lamp lamp bag", ""]


@pytest.fixture(scope="module", params=list(KINDS))
def folder(request, tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture
def bert(folder):
    return load_bert(str(folder))


@pytest.fixture
def batch(folder):
    tokenizer = load_tokenizer(str(folder))
    special, pieces = SpecialTokens.of(tokenizer), tokenize(TEXTS, tokenizer, max_tokens=20)
    return pad([item_input(pieces[row], special) for row in range(len(pieces))], special.pad)


def plain_states(bert, batch):
    return token_states(bert, batch.ids, batch.mask, batch.segments)


def same_where_known(states, expected, mask):
    known = mask.bool()
    tolerance = rounding(expected[known], **TINY_BERT)
    torch.testing.assert_close(states[known], expected[known], atol=tolerance, rtol=0)


def test_a_text_is_encoded_alike_alone_and_in_a_batch(folder, bert):
    tokenizer = load_tokenizer(str(folder))

    together = encode_texts(bert, TEXTS, tokenizer, max_tokens=20)

    alone = np.concatenate([encode_texts(bert, [t], tokenizer, max_tokens=20) for t in TEXTS])
    assert together.shape == (len(TEXTS), HIDDEN)
    assert (together * alone).sum(axis=1).min() >= least_cosine(**TINY_BERT, dtype=SERVED)
    assert len(np.unique(together.round(4), axis=0)) == len(TEXTS)


@torch.inference_mode()
def test_the_fast_paths_give_the_states_of_the_plain_forward_pass(bert, batch):
    fast = states_of(bert, batch)

    bert.set_attn_implementation("eager")

    same_where_known(fast, plain_states(bert, batch), batch.mask)


@torch.inference_mode()
def test_a_decoder_is_read_at_its_last_token_and_others_at_all(folder, bert, batch):
    tokenizer = load_tokenizer(str(folder))
    states = plain_states(bert, batch)
    last = batch.mask.sum(dim=1) - 1
    rows = torch.arange(len(TEXTS))
    mean = (states * batch.mask[..., None]).sum(dim=1) / batch.mask.sum(dim=1)[:, None]

    read = torch.from_numpy(encode_texts(bert.float(), TEXTS, tokenizer, max_tokens=22))

    expected = states[rows, last] if is_causal(bert) else mean
    cosines = (nn.functional.normalize(expected, dim=-1) * read).sum(dim=1)
    assert cosines.min() >= least_cosine(**TINY_BERT, dtype=SERVED)
    ends = batch.ids[rows, last]
    assert (ends == SpecialTokens.of(tokenizer).sep).all()


def test_a_history_ends_each_title_with_the_separator(folder):
    tokenizer = load_tokenizer(str(folder))
    special, titles = SpecialTokens.of(tokenizer), tokenize(TEXTS, tokenizer, max_tokens=9)

    read = history_input(titles, [0, 1], special, max_tokens=40).tolist()

    first, second = titles[0].tolist(), titles[1].tolist()
    assert read == [*special.start, *second, special.sep, *first, special.sep]


@torch.inference_mode()
def test_a_saved_backbone_loads_with_the_same_states(folder, bert, batch, tmp_path):
    expected = plain_states(bert, batch)
    save_backbone(tmp_path, bert, load_tokenizer(str(folder)))

    same_where_known(plain_states(load_bert(str(tmp_path)), batch), expected, batch.mask)
    empty = empty_bert(tmp_path)
    empty.load_state_dict(bert.state_dict())
    same_where_known(plain_states(empty, batch), expected, batch.mask)
    again = load_tokenizer(str(tmp_path))
    assert again(TEXTS)["input_ids"] == load_tokenizer(str(folder))(TEXTS)["input_ids"]


def test_only_the_top_layer_is_trained(bert, batch):
    before = {name: p.detach().clone() for name, p in bert.named_parameters()}
    config = TrainingConfig(learning_rate=0.01, layer_decay=0.5)
    module = nn.Module()
    module.bert = fine_tuned(bert, config, layers=1, total_steps=2)
    optimizer, schedule = optimizer_of(module, config, 2)

    plain_states(bert, batch)[batch.mask.bool()].square().mean().backward()
    for part in (optimizer, schedule, optimizer):
        part.step()

    top = {id(p) for p in stack_of(bert)[-1].parameters()}
    changed = {n for n, p in bert.named_parameters() if not torch.equal(p, before[n])}
    assert changed
    assert changed <= {name for name, p in bert.named_parameters() if id(p) in top}
    rates = {group["initial_lr"] for group in optimizer.param_groups}
    assert rates == {0.01}


def test_adapters_of_the_top_layer_are_trained_and_merged(bert, batch):
    config = TrainingConfig(adapter=AdapterConfig(kind="lora", rank=2))
    expected = plain_states(bert, batch).detach()
    adapted = fine_tuned(bert, config, layers=1, total_steps=2)
    same_where_known(plain_states(adapted, batch).detach(), expected, batch.mask)
    trained = [p for name, p in adapted.named_parameters() if p.requires_grad]
    assert trained
    assert {n for n, p in adapted.named_parameters() if p.requires_grad} == {
        n for n, _ in adapted.named_parameters() if "lora_" in n
    }

    for weights in trained:
        nn.init.normal_(weights, std=0.1)
    moved = plain_states(adapted, batch).detach()
    plain = merged(adapted)

    assert type(plain) is type(bert)
    assert not torch.allclose(moved, expected, atol=1e-3)
    same_where_known(plain_states(plain, batch).detach(), moved, batch.mask)


def test_dropout_is_set_in_every_kind(folder, batch):
    bert = load_bert(str(folder), dropout=0.5).train()

    assert not torch.equal(plain_states(bert, batch), plain_states(bert, batch))
    bert = load_bert(str(folder)).train()
    assert torch.equal(plain_states(bert, batch), plain_states(bert, batch))


def test_what_a_kind_lacks_is_said_once_in_one_line(folder, caplog):
    with caplog.at_level(logging.INFO, logger="backbone.load"):
        _say_what_is_slower.cache_clear()
        bert, _ = load_bert(str(folder)), load_bert(str(folder))

    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == (0 if splits(bert) else 1)
    assert all("runs without" in line and bert.config.model_type in line for line in lines)


def test_an_encoder_with_a_decoder_is_refused(tmp_path):
    from transformers import BartConfig

    BartConfig(d_model=16, vocab_size=9).save_pretrained(tmp_path)

    with pytest.raises(ValueError, match=r"must be an encoder or a decoder, got .* \(bart\)"):
        load_bert(str(tmp_path))


@pytest.mark.parametrize("kept", [(0, 2), (0, 3), (0, 1, 3)])
def test_layers_that_are_kept_compute_the_same_after_a_reload(kept, tmp_path):
    torch.manual_seed(0)
    options = {
        **BERT,
        "num_hidden_layers": 4,
        "local_attention": 4,
        "vocab_size": 50,
        "pad_token_id": 0,
    }
    options["global_attn_every_n_layers"] = 2
    ModernBertModel(ModernBertConfig(**options)).save_pretrained(tmp_path / "whole")
    bert = load_bert(str(tmp_path / "whole"))
    types = bert.config.layer_types
    keep_layers(bert, kept)
    bert.save_pretrained(tmp_path / "kept")
    ids = torch.arange(1, 13)[None]

    loaded = load_bert(str(tmp_path / "kept"))

    assert loaded.config.layer_types == [types[layer] for layer in kept]
    with torch.no_grad():
        states = [
            token_states(one, ids, torch.ones_like(ids), torch.zeros_like(ids))
            for one in (bert, loaded)
        ]
    torch.testing.assert_close(*states, rtol=0, atol=1e-6)


def test_layers_that_share_weights_are_kept_by_whole_groups(tmp_path):
    options = {**BERT, "num_hidden_layers": 6, "embedding_size": 16, "vocab_size": 50}
    AlbertModel(AlbertConfig(**options, num_hidden_groups=2)).save_pretrained(tmp_path)

    several = load_bert(str(tmp_path))
    keep_layers(several, (0, 5))

    assert several.config.num_hidden_groups == 2
    with pytest.raises(ValueError, match="layers must be a multiple of 3, got 4"):
        keep_layers(load_bert(str(tmp_path)), range(4))
