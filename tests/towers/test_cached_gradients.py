from dataclasses import replace

import pytest
import torch

from backbone.load import load_tokenizer
from tests.rounding import rounding
from towers.config import TowersConfig
from towers.fit import batches, text_inputs, training_source
from towers.model import build_two_tower
from towers.sampled_softmax import sampled_softmax

pytestmark = pytest.mark.numeric


def gradients(config, shop, batch):
    torch.manual_seed(0)
    model = build_two_tower(
        config, purchases=torch.full((240,), 9), actions=2, total_steps=1
    ).train()
    texts = torch.zeros(len(batch.rows), 32).index_copy(
        0, batch.fresh, model.item_tower.read(batch.texts)
    )
    items = model.item_tower(texts, batch.rows)
    loss = sampled_softmax(
        model.users(items, batch),
        items[batch.candidates],
        batch.choices,
        temperature=model.temperature,
        dtype=torch.float32,
    )
    loss.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_chunked_gradients_equal_those_of_the_whole_batch(shop, tiny_bert):
    config = TowersConfig(
        backbone=str(tiny_bert), dimension=16, widths=[], item_layers=1, uniform=50
    )
    config = replace(config, training=replace(config.training, batch_size=400, trained_layers=2))
    inputs = text_inputs(shop, load_tokenizer(str(tiny_bert)), config)
    batch = next(iter(batches(config, training_source(config, shop, inputs))))

    whole = gradients(replace(config, residual_dropout=0.0), shop, batch)
    parts = gradients(replace(config, residual_dropout=0.0, rows_at_once=3), shop, batch)

    assert len(batch.histories.ids) > 3
    assert any("item_tower.bert" in name for name in whole)
    assert whole.keys() == parts.keys()
    # forward, backward, and the sum over all choices
    tolerance = rounding(*whole.values(), terms=2 * 512 + len(batch.choices.users))
    for name, gradient in whole.items():
        torch.testing.assert_close(parts[name], gradient, atol=tolerance, rtol=0)


def test_chunks_save_less_than_a_third_of_the_activations(shop, tiny_bert):
    """Counts the tensors' entries saved for the backward pass."""
    config = TowersConfig(backbone=str(tiny_bert), dimension=16, widths=[], uniform=50)
    config = replace(config, training=replace(config.training, batch_size=800, trained_layers=2))
    inputs = text_inputs(shop, load_tokenizer(str(tiny_bert)), config)
    batch = next(iter(batches(config, training_source(config, shop, inputs))))

    def saved(rows_at_once):
        model = build_two_tower(
            replace(config, rows_at_once=rows_at_once),
            purchases=torch.full((240,), 9),
            actions=2,
            total_steps=1,
        ).train()
        items = model.item_tower(torch.zeros(len(batch.rows), 32), batch.rows).detach()
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: (sizes.append(tensor.numel()), tensor)[1], lambda tensor: tensor
        ):
            model.users(items, batch)
        return sum(sizes)

    assert saved(2) < saved(None) / 3


@pytest.mark.parametrize("rows_at_once", [0, -1])
def test_rows_at_once_below_one_are_refused(rows_at_once):
    with pytest.raises(ValueError, match="rows_at_once"):
        TowersConfig(rows_at_once=rows_at_once)
