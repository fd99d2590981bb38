from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from backbone import synonyms
from backbone.config import AugmentationConfig, TrainingConfig
from backbone.epoch_batches import EpochSampler
from backbone.load import load_tokenizer
from dataset.arrays import StringColumn
from dataset.searches import Searches
from tests.conftest import make_shop
from towers.batches import SEARCH_TARGETS
from towers.config import TowersConfig
from towers.fit import batches, build_module, reads_the_corpus, text_inputs, training_source


@pytest.fixture(scope="module")
def log():
    """Each user searched once, for a colour, and found seven things; odd rows fit better."""
    shop = make_shop(users=60)
    colours = [title.split()[0] for title in shop.titles]
    texts = sorted(set(colours))
    of = [texts.index(colours[row]) for row in shop.items]
    relevance = np.where(np.asarray(shop.items) % 2, 3, 1).astype(np.float32)
    searches = Searches(
        texts=StringColumn.of(texts), of=np.array(of, np.int32), relevance=relevance
    )
    return replace(
        shop,
        moments=np.zeros_like(shop.moments),
        splits=np.zeros_like(shop.splits),
        times=np.zeros_like(shop.times),
        searches=searches,
    )


@pytest.fixture
def config(tiny_bert):
    return TowersConfig(
        backbone=str(tiny_bert),
        dimension=16,
        widths=[],
        item_layers=2,
        residual=False,
        uniform=0,
        training=TrainingConfig(batch_size=12, examples_per_epoch=60, trained_layers=2),
    )


@pytest.fixture
def source(log, config, tiny_bert):
    return training_source(config, log, text_inputs(log, load_tokenizer(str(tiny_bert)), config))


def test_items_of_one_search_are_targets_of_one_shopper_and_no_negatives(log, config, source):
    batch = next(iter(batches(config, source)))

    shoppers = batch.choices.users
    assert torch.bincount(shoppers).tolist() == [SEARCH_TARGETS] * (int(shoppers.max()) + 1)
    rows = batch.rows[batch.candidates].numpy()
    targets = rows[batch.choices.targets.numpy()]
    for shopper in range(int(shoppers.max()) + 1):
        own = targets[(shoppers == shopper).numpy()]
        masked = batch.choices.excluded_candidates[batch.choices.excluded_users == shopper]
        assert np.isin(own, rows[masked.numpy()]).all()
    assert len(batch.searches.ids) == int(shoppers.max()) + 1


def test_better_items_are_drawn_more_often(source):
    rng = np.random.default_rng(0)

    drawn = np.concatenate([source.drawn(0, rng) for _ in range(300)])

    odd = source.examples.targets[drawn] % 2 == 1
    of_group = source.examples.targets[slice(*source.examples.groups[:2].tolist())] % 2 == 1
    assert odd.mean() > of_group.mean() + 0.1


def test_gradients_reach_the_words_of_a_search(log, config, source):
    module = build_module(config, log, source, 1)
    batch = next(iter(batches(config, source)))
    frozen = torch.zeros(len(batch.rows), 16)

    users = module.model.users(frozen, batch)
    users.sum().backward()

    layer = module.model.item_tower.bert.encoder.layer[-1].output.dense.weight
    assert layer.grad.abs().max() > 0


def test_a_search_starts_where_the_item_tower_puts_its_words(log, config, source, monkeypatch):
    monkeypatch.setenv("SHORTLIST_PRECISION", "fp32")
    module = build_module(config, log, source, 1).eval()
    words = ["red", "blue mug"]
    nothing = [np.empty(0, np.int32)] * 2

    users = module.embed_users(torch.zeros(240, 16), nothing, nothing, words)

    pieces = [module.inputs.search(search) for search in words]
    for vector, of_words in zip(users, pieces, strict=True):
        tokens = torch.from_numpy(of_words[None].astype(np.int64))
        text = module.model.item_tower.bert(input_ids=tokens).last_hidden_state.mean(dim=1)
        alone = module.model.item_tower(functional.normalize(text, dim=-1))
        torch.testing.assert_close(vector, alone[0], atol=1e-5, rtol=0)


def test_a_log_without_histories_needs_no_encoded_corpus(log, config, source):
    assert not reads_the_corpus(config, source)
    assert reads_the_corpus(replace(config, uniform=5), source)
    assert reads_the_corpus(replace(config, fresh_texts=3), source)

    batch = next(iter(batches(config, source)))
    np.testing.assert_array_equal(np.sort(batch.fresh), np.arange(len(batch.rows)))


def test_a_short_log_is_repeated_within_an_epoch():
    sampler = EpochSampler(5, 12, seed=0, passes=8)

    assert len(sampler) == 12
    assert len(EpochSampler(5, 100, seed=0, passes=8)) == 40
    drawn = list(sampler)
    assert sorted(drawn[:5]) == sorted(drawn[5:10]) == list(range(5))


def test_synonyms_are_learnt_from_titles_and_searches_and_replace_words(
    log, config, source, tiny_bert, monkeypatch
):
    def learnt(texts, kinds, states, seed):
        read.update(zip(texts, kinds, strict=True))
        return dict.fromkeys((searched for searched in source.examples.searches), ("lamp",))

    read = {}
    monkeypatch.setattr(synonyms, "learnt_synonyms", learnt)
    changing = replace(config, augmentation=AugmentationConfig(synonyms=0.9))
    inputs = text_inputs(log, load_tokenizer(str(tiny_bert)), config)
    changed = training_source(changing, log, inputs)

    searches = {tuple(changed.logged_search(0, np.random.default_rng(s))) for s in range(20)}

    assert set(read) == {*log.titles, *source.examples.searches}
    assert {read[search] for search in source.examples.searches} == {-1}
    assert min(read[title] for title in log.titles) == 0
    assert searches == {
        tuple(inputs.search("lamp")),
        tuple(source.logged_search(0, np.random.default_rng(0))),
    }
