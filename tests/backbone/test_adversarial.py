import pytest
import torch

from backbone.adapters import fine_tuned
from backbone.adversarial import fast_gradient_loss, trained_loss
from backbone.config import AdapterConfig, TrainingConfig
from backbone.load import load_bert

pytestmark = pytest.mark.numeric

IDS = torch.tensor([[2, 5, 6, 7, 3], [2, 8, 9, 3, 0]])


@pytest.fixture
def bert(tiny_bert):
    return load_bert(str(tiny_bert))


def loss_of(bert, offset=0):
    states = bert(input_ids=IDS + offset, attention_mask=IDS > 0).last_hidden_state
    return (states - 1).abs().mean()


def test_the_moved_texts_have_a_higher_loss(bert):
    found = []

    loss = fast_gradient_loss([bert], lambda: found.append(loss_of(bert)) or found[-1], size=0.05)

    clean, moved = found
    assert moved > clean
    torch.testing.assert_close(loss, (clean + moved) / 2)


def test_a_movement_has_the_given_share_of_a_texts_length(bert):
    read = []
    words = bert.get_input_embeddings()

    def step():
        handle = bert.embeddings.LayerNorm.register_forward_hook(
            lambda module, given, output: read.append(given[0].detach())
        )
        loss = loss_of(bert)
        handle.remove()
        return loss

    fast_gradient_loss([bert], step, size=0.25)

    clean, moved = read
    moves = (moved - clean).flatten(1).norm(dim=1)
    assert torch.allclose(moves, 0.25 * words(IDS).flatten(1).norm(dim=1), rtol=1e-3)


@pytest.mark.parametrize("kind", ["none", "lora", "bottleneck"])
def test_frozen_word_embeddings_move_and_stay(tiny_bert, kind):
    adapter = AdapterConfig(kind=kind, rank=2, width=4)
    training = TrainingConfig(adapter=adapter, adversarial="fgm")
    bert = fine_tuned(load_bert(str(tiny_bert)), training, layers=1, total_steps=9)
    plain = float(loss_of(bert).detach())

    loss = trained_loss([bert], lambda: loss_of(bert), training)
    loss.backward()

    assert float(loss.detach()) > plain
    assert bert.get_input_embeddings().weight.grad is None
    assert any(p.grad is not None and p.grad.any() for p in bert.parameters())


def test_the_second_loss_draws_the_same_dropout(tiny_bert):
    bert = load_bert(str(tiny_bert), dropout=0.5).train()
    found = []

    fast_gradient_loss([bert], lambda: found.append(loss_of(bert)) or found[-1], size=1e-6)

    torch.testing.assert_close(found[0], found[1], atol=1e-4, rtol=0)


def test_texts_that_are_read_without_gradients_stay(bert):
    def step():
        with torch.no_grad():
            fixed = loss_of(bert, 1)
        return loss_of(bert) + fixed

    loss = fast_gradient_loss([bert], step, size=0.05)

    assert loss.requires_grad
    assert not bert.get_input_embeddings()._forward_hooks
