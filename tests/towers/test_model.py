import numpy as np
import pytest
import torch
from torch.nn import functional

from backbone.batch import pad
from backbone.config import TrainingConfig
from backbone.load import load_bert
from backbone.packing import pack
from dataset.interaction_codes import GAPS
from tests.rounding import TINY_BERT, least_cosine, rounding
from towers.config import TowersConfig
from towers.encode import embed_histories, encode
from towers.history_tower import HistoryTower
from towers.item_tower import ItemTower
from towers.model import TitlesTower, build_two_tower, support

pytestmark = pytest.mark.numeric

CPU = torch.device("cpu")


def texts(n, seed=0):
    rng = np.random.default_rng(seed)
    return [
        np.concatenate([[2], rng.integers(5, 14, rng.integers(1, 9)), [3]]).astype(np.int32)
        for _ in range(n)
    ]


def item_tower(tiny_bert, *, dimension=16, items=30, residual_dropout=0.5):
    return ItemTower(
        load_bert(str(tiny_bert)),
        dimension=dimension,
        support=torch.ones(items),
        residual_dropout=residual_dropout,
    )


def test_padding_does_not_change_an_embedding(tiny_bert):
    tower = TitlesTower(load_bert(str(tiny_bert)), 16)
    short, long = np.array([2, 5, 3], np.int32), np.array([2, 5, 6, 7, 8, 9, 3], np.int32)

    alone, padded = tower(pad([short], 0))[0], tower(pad([short, long], 0))[0]

    torch.testing.assert_close(alone, padded, atol=rounding(alone, **TINY_BERT), rtol=0)


def test_encoding_in_batches_keeps_the_order(tiny_bert):
    tower, sequences = item_tower(tiny_bert), texts(300)

    together = encode(tower.read, sequences, pad_id=0, device=CPU, description="texts")

    one_by_one = torch.cat([tower.read(pad([s], 0)) for s in sequences])
    cosines = (together * one_by_one).sum(dim=1)
    assert cosines.min() >= least_cosine(**TINY_BERT)


def test_residuals_start_at_zero_and_do_not_affect_new_items(tiny_bert):
    tower = item_tower(tiny_bert).eval()
    read = tower.read(pad(texts(30), 0))
    rows = torch.arange(30)

    expected = tower(read)
    tolerance = rounding(expected, terms=32)
    torch.testing.assert_close(tower(read, rows), expected, atol=tolerance, rtol=0)
    torch.nn.init.normal_(tower.residual.weight)
    assert not torch.allclose(tower(read, rows), expected, atol=tolerance)


@pytest.mark.parametrize("items", [1, 5])
def test_texts_that_are_all_the_same_have_an_embedding_that_other_texts_differ_from(
    tiny_bert, items
):
    """The mean of the texts is all that they have, so it is not taken away."""
    tower = item_tower(tiny_bert, dimension=32, items=items).eval()
    same, other = (tower.read(pad(texts(1, seed), 0)) for seed in (1, 2))
    tower.fit_projection(same.expand(items, -1))

    embedded = tower(torch.cat([same, other]))

    torch.testing.assert_close(embedded.norm(dim=1), torch.ones(2))
    assert embedded[0] @ embedded[1] < 0.99


@pytest.fixture
def purchased(tiny_bert):
    """A tower, its texts, and SVD embeddings of purchases that the texts partly predict."""
    tower = item_tower(tiny_bert, items=2000).eval()
    read = tower.read(pad(texts(2000), 0))
    tower.fit_projection(read)
    torch.manual_seed(0)
    behaviour = 2 * tower.projection(read) @ torch.randn(16, 16) + torch.randn(2000, 16)
    return tower, read, functional.normalize(behaviour, dim=-1).detach()


def test_a_bought_item_starts_as_its_text_plus_its_rotated_svd_embedding(purchased):
    tower, read, behaviour = purchased
    by_text = tower.projection(read)

    tower.fit_behaviour(read, behaviour)

    added = tower.projection(read) + tower.residual.weight - by_text
    tolerance = rounding(4, terms=behaviour.numel())  # it is fitted to all of it
    torch.testing.assert_close(added @ added.T, 4 * behaviour @ behaviour.T, atol=tolerance, rtol=0)
    rotation = torch.linalg.lstsq(behaviour, added).solution
    torch.testing.assert_close(rotation @ rotation.T, 4 * torch.eye(16), atol=tolerance, rtol=0)
    assert (added * by_text).sum() > (2 * behaviour * by_text).sum()


def test_a_new_item_starts_near_items_with_predicted_purchases_like_its_own(purchased):
    tower, read, behaviour = purchased
    unseen = torch.arange(2000) % 5 == 0
    tower.support[unseen] = 0
    by_text = tower.projection(read)

    tower.fit_behaviour(read, behaviour * ~unseen[:, None])

    predicted = tower.projection(read) - by_text
    nearest = (predicted[unseen] @ predicted[~unseen].T).topk(20).indices
    similarity = (behaviour[unseen][:, None] * behaviour[~unseen][nearest]).sum(-1).mean()
    by_chance = (behaviour[unseen] @ behaviour[~unseen].T).mean()
    assert similarity > by_chance + 0.2
    assert not tower.residual.weight[unseen].any()


def test_the_projection_starts_as_the_principal_components_of_the_texts(tiny_bert):
    tower = item_tower(tiny_bert, dimension=32, items=200).eval()
    read = tower.read(pad(texts(200), 0))
    tower.fit_projection(read)

    projected = tower.projection(read)
    spread = projected.var(dim=0)

    assert projected.mean(dim=0).abs().max() < rounding(projected, terms=read.numel())
    assert (spread[:-1] >= spread[1:] - rounding(spread, terms=read.numel())).all()
    centred = read - read.mean(dim=0)
    cosines = torch.nn.functional.cosine_similarity(centred[:1], centred)
    ours = torch.nn.functional.cosine_similarity(projected[:1], projected)
    torch.testing.assert_close(ours, cosines, atol=rounding(1, terms=read.numel()), rtol=0)


def test_residuals_are_left_out_only_in_training(tiny_bert):
    tower = item_tower(tiny_bert, residual_dropout=0.5)
    torch.nn.init.normal_(tower.residual.weight)
    read, rows = tower.read(pad(texts(30), 0)), torch.arange(30)
    torch.manual_seed(0)

    def is_text(embeddings):
        return (embeddings - tower(read)).abs().amax(dim=1) < rounding(1, terms=32)

    without = is_text(tower.train()(read, rows))

    assert 5 < without.sum() < 25
    assert not is_text(tower.eval()(read, rows)).any()


def test_an_embedding_does_not_depend_on_other_shoppers_in_the_batch(tiny_bert):
    tower = HistoryTower(load_bert(str(tiny_bert)), dimension=16, actions=2).eval()
    rng = np.random.default_rng(0)
    items = torch.nn.functional.normalize(torch.randn(40, 16), dim=-1)
    histories = [rng.integers(40, size=n).astype(np.int32) for n in (1, 3, 12, 7, 8, 2)]

    interaction_codes = [rng.integers(3 * GAPS, size=len(h)).astype(np.int32) for h in histories]
    torch.nn.init.normal_(tower.gaps.weight)
    torch.nn.init.normal_(tower.actions.weight)

    together = embed_histories(tower, items, histories, interaction_codes, length=8)

    for history, codes, user in zip(histories, interaction_codes, together, strict=True):
        alone = embed_histories(tower, items, [history[-8:]], [codes[-8:]], length=8)[0]
        assert torch.dot(user, alone) >= least_cosine(**TINY_BERT)


def test_the_embedding_at_a_position_equals_that_of_the_shorter_history(tiny_bert):
    tower = HistoryTower(load_bert(str(tiny_bert)), dimension=16, actions=2).eval()
    items = torch.nn.functional.normalize(torch.randn(40, 16), dim=-1)
    history = np.array([4, 9, 2, 30, 7], np.int32)
    packed = pack([history], width=8, filler=40)
    no_searches = torch.empty(0, 16)

    everywhere = tower(items, packed, torch.arange(5), no_searches)

    for length in range(1, 6):
        prefix = pack([history[:length]], width=8, filler=40)
        shorter = tower(items, prefix, torch.tensor([length - 1]), no_searches)
        tolerance = rounding(shorter, **TINY_BERT)
        torch.testing.assert_close(everywhere[length - 1], shorter[0], atol=tolerance, rtol=0)


@pytest.mark.parametrize("code_part", ["gaps", "actions"])
def test_interaction_codes_change_the_embedding(tiny_bert, code_part):
    tower = HistoryTower(load_bert(str(tiny_bert)), dimension=16, actions=2).eval()
    items = functional.normalize(torch.randn(40, 16), dim=-1)
    history, unknown = np.array([4, 9, 2], np.int32), np.zeros(3, np.int32)
    code = {"gaps": 3, "actions": 2 * GAPS}[code_part]

    def user(interaction_codes):
        return embed_histories(tower, items, [history], [interaction_codes], length=8)[0]

    same = user(unknown)
    tolerance = rounding(same, **TINY_BERT)
    torch.testing.assert_close(user(unknown + code), same, atol=tolerance, rtol=0)
    torch.nn.init.normal_(getattr(tower, code_part).weight)

    assert (user(unknown + code) - user(unknown)).abs().max() > 0.01


def test_with_a_zero_state_a_shopper_is_the_decayed_sum_of_purchases(tiny_bert):
    tower = HistoryTower(load_bert(str(tiny_bert)), dimension=16, actions=2).eval()
    torch.nn.init.zeros_(tower.out.weight)
    items = functional.normalize(torch.randn(40, 16), dim=-1)
    packed = pack([np.array([3, 9]), np.array([7, 1, 30])], width=8, filler=40)

    users = tower(items, packed, packed.starts + torch.tensor([1, 2]), torch.empty(0, 16))

    decay = torch.sigmoid(tower.decay).detach()
    expected = [decay * items[3] + items[9], decay**2 * items[7] + decay * items[1] + items[30]]
    expected = functional.normalize(torch.stack(expected), dim=-1)
    torch.testing.assert_close(users, expected, atol=rounding(expected, terms=20), rtol=0)


def test_with_a_zero_state_a_searching_shopper_is_the_search_plus_the_decayed_purchases(
    tiny_bert,
):
    tower = HistoryTower(load_bert(str(tiny_bert), words=False), dimension=16, actions=2).eval()
    torch.nn.init.zeros_(tower.out.weight)
    items, searches = functional.normalize(torch.randn(42, 16), dim=-1).split([40, 2])
    packed = pack([np.array([3, 9, 41]), np.array([42])], width=8, filler=40)

    users = tower(items, packed, packed.starts + torch.tensor([2, 0]), searches)

    decay = torch.sigmoid(tower.decay).detach()
    bought = decay**2 * items[3] + decay * items[9]
    expected = [tower.own_search.detach() * searches[0] + bought, searches[1]]
    expected = functional.normalize(torch.stack(expected), dim=-1)
    torch.testing.assert_close(users, expected, atol=rounding(expected, terms=20), rtol=0)


def test_a_search_has_the_embedding_of_a_new_item_with_that_text(tiny_bert):
    tower = ItemTower(load_bert(str(tiny_bert)), dimension=16, support=torch.ones(4)).eval()
    words = pad(texts(3), 0)

    expected = tower(tower.read(words))
    tolerance = rounding(expected, **TINY_BERT)
    torch.testing.assert_close(tower.embed_words(words), expected, atol=tolerance, rtol=0)
    assert tower.embed_words(pad([], 0)).shape == (0, 16)


def test_a_backbone_without_word_embeddings_encodes_soft_tokens_as_before(tiny_bert):
    with_words, without = (load_bert(str(tiny_bert), words=words) for words in (True, False))
    tokens = torch.randn(2, 5, 32)

    assert without.get_input_embeddings().weight.shape == (1, 32)
    expected = with_words(inputs_embeds=tokens).last_hidden_state
    torch.testing.assert_close(
        without(inputs_embeds=tokens).last_hidden_state,
        expected,
        atol=rounding(expected, **TINY_BERT),
        rtol=0,
    )


def test_residuals_weigh_less_for_items_with_fewer_purchases():
    purchases = torch.tensor([0, 1, 3, 300])

    assert support(purchases, 3.0).tolist() == pytest.approx([0, 1 / 4, 1 / 2, 300 / 303])
    assert support(purchases, 0.0).tolist() == [0, 1, 1, 1]


def test_an_item_without_purchases_has_no_residual(tiny_bert):
    bought = torch.tensor([0.0, 1.0])
    tower = ItemTower(load_bert(str(tiny_bert)), dimension=16, support=bought).eval()
    torch.nn.init.normal_(tower.residual.weight)
    read = tower.read(pad(texts(2), 0))

    moved = tower(read, torch.arange(2)) - tower(read)

    assert moved[0].abs().max() == 0
    assert moved[1].abs().max() > 0.01


def test_the_towers_share_no_weights(tiny_bert):
    training = TrainingConfig(trained_layers=1)
    config = TowersConfig(
        backbone=str(tiny_bert), dimension=16, widths=[], user_layers=1, training=training
    )
    model = build_two_tower(config, purchases=torch.ones(40), actions=0, total_steps=10)

    users = {id(p) for p in model.user_tower.parameters()}
    assert not users & {id(p) for p in model.item_tower.parameters()}
    assert len(model.user_tower.bert.encoder.layer) == 1
