"""Towers that go on from those of the shop's earlier data."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from backbone.config import TrainingConfig
from backbone.load import load_tokenizer
from dataset.arrays import TEST, TRAIN, VALID, StringColumn, save_dataset
from lineage.cli import run
from lineage.manifest import read_manifest, writing
from lineage.stages import EMBEDDINGS
from tests.conftest import make_shop
from towers.config import TowersConfig
from towers.fit import batches, build_module, text_inputs, training_source
from towers.train import train, trial

pytestmark = pytest.mark.training
DAY = 86_400_000_000


@pytest.fixture(scope="module")
def config(tiny_bert):
    training = TrainingConfig(
        max_epochs=2,
        examples_per_epoch=100,
        batch_size=32,
        learning_rate=3e-3,
        trained_layers=2,
        patience=2,
    )
    return TowersConfig(
        backbone=str(tiny_bert), dimension=16, widths=[8], warm_share=0.5, training=training
    )


def in_days(shop, *, first_valid, first_test):
    """A shop whose every interaction is of another day, split by the day."""
    places = np.arange(len(shop.items)) - np.repeat(shop.offsets[:-1], np.diff(shop.offsets))
    splits = np.select([places < first_valid, places < first_test], [TRAIN, VALID], TEST)
    made = replace(shop, times=places * DAY, timed=True, splits=splits.astype(np.uint8))
    return replace(made, popularity=made.popularity_before(VALID))


def with_stages(root, shop, config, *stages):
    with writing(root / "data", stage="data", config={}, inputs={}) as (folder, _):
        save_dataset(folder, shop)
    for stage, make in stages:
        run(stage, config, root, make)
    return root


@pytest.fixture(scope="module")
def earlier(config, tmp_path_factory):
    """Stages of a shop of which the last two days were not known yet."""
    shop = in_days(make_shop(users=120, seed=3), first_valid=3, first_test=4)
    root = tmp_path_factory.mktemp("earlier") / "shop"
    return shop, with_stages(root, shop, config, ("trial/towers", trial), ("towers", train))


def built(config, shop):
    inputs = text_inputs(shop, load_tokenizer(config.backbone), config)
    source = training_source(config, shop, inputs)
    return build_module(config, shop, source, 4)


def test_without_a_step_every_embedding_is_the_earlier_one(config, earlier):
    shop, root = earlier
    warm = replace(config, warm_start=str(root / "towers"))

    module = built(warm, shop.for_refit())

    known = torch.from_numpy(np.load(root / "towers" / EMBEDDINGS))
    assert torch.allclose(module.embed_items(), known, atol=5e-3)
    temperature = read_manifest(root / "towers", "towers").facts["temperature"]
    assert float(module.average.temperature) == pytest.approx(temperature, abs=1e-3)


def test_a_new_item_has_no_residual_and_an_edited_one_keeps_its_own(config, earlier):
    shop, root = earlier
    warm, learnt = replace(config, warm_start=str(root / "towers")), shop.for_refit()
    ids, texts = list(shop.item_ids), list(shop.texts)
    ids[4], texts[5] = "new", "something else altogether"
    changed = replace(learnt, item_ids=StringColumn.of(ids), texts=StringColumn.of(texts))

    before = built(warm, learnt).model.item_tower.residual.weight.detach()
    after = built(warm, changed).model.item_tower.residual.weight.detach()

    assert after[4].norm() == 0 < before[4].norm()
    assert torch.allclose(after[5], before[5], atol=2e-2 * float(before[5].norm()))
    assert torch.allclose(after[6:], before[6:], atol=1e-6)


def test_an_action_keeps_its_meaning_whatever_its_number(config, earlier):
    shop, root = earlier
    warm = replace(config, warm_start=str(root / "towers"))
    more = replace(shop.for_refit(), action_names=("basket", *shop.action_names))

    actions = built(warm, more).model.user_tower.actions.weight

    same = built(warm, shop.for_refit()).model.user_tower.actions.weight
    assert (actions[1] == actions[0]).all()
    assert (actions[2:] == same[1:]).all()
    assert len(same) > 1


def test_a_warm_epoch_has_a_share_of_the_examples(config, earlier):
    shop, root = earlier
    inputs = text_inputs(shop, load_tokenizer(config.backbone), config)
    source = training_source(config, shop, inputs)

    def examples(chosen):
        return sum(1 for _ in batches(chosen, source).batch_sampler.sampler)

    warm = replace(config, warm_start=str(root / "towers"))
    assert examples(config) == 100
    assert examples(warm) == 50


def test_towers_go_on_from_the_earlier_ones_and_name_them(config, earlier, tmp_path):
    _, root = earlier
    later = in_days(make_shop(users=120, seed=3), first_valid=4, first_test=5)
    warm = replace(config, warm_start=str(root / "towers"))

    made = with_stages(tmp_path / "shop", later, config, ("trial/towers", trial)) / "towers"
    run("towers", warm, tmp_path / "shop", train)

    manifest = read_manifest(made, "towers")
    assert manifest.inputs["warm_start"] == read_manifest(root / "towers", "towers").fingerprint
    cosines = (np.load(made / EMBEDDINGS) * np.load(root / "towers" / EMBEDDINGS)).sum(1)
    assert np.median(cosines) > 0.8


def test_towers_that_have_learnt_what_is_held_out_are_refused(config, earlier, tmp_path):
    shop, root = earlier
    warm = replace(config, warm_start=str(root / "towers"))
    seen = in_days(make_shop(users=120, seed=3), first_valid=2, first_test=3)

    with pytest.raises(ValueError, match="have learnt nothing since 1970-01-03"):
        with_stages(tmp_path / "a", seen, warm, ("trial/towers", trial))
    untimed = replace(shop, timed=False)
    with pytest.raises(ValueError, match="interactions have no times"):
        with_stages(tmp_path / "b", untimed, warm, ("trial/towers", trial))
    with pytest.raises(ValueError, match="must not both be given"):
        replace(warm, start_from=str(root / "towers"))
