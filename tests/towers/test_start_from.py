"""Towers that start from another shop's."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from backbone.config import TrainingConfig
from backbone.load import load_tokenizer
from dataset.arrays import save_dataset
from lineage.cli import run
from lineage.manifest import read_manifest, writing
from tests.conftest import make_shop
from towers.artifact import load_item_tower
from towers.config import TowersConfig
from towers.fit import build_module, text_inputs, training_source
from towers.train import trial

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def config(tiny_bert):
    training = TrainingConfig(
        max_epochs=2,
        examples_per_epoch=128,
        batch_size=32,
        learning_rate=3e-3,
        trained_layers=2,
        patience=2,
    )
    return TowersConfig(
        backbone=str(tiny_bert), dimension=16, widths=[8], item_layers=1, training=training
    )


def stage(root, shop, config):
    with writing(root / "data", stage="data", config={}, inputs={}) as (folder, _):
        save_dataset(folder, shop)
    run("trial/towers", config, root, trial)
    return root / "trial" / "towers"


def in_two_colours(*, users, seed):
    """A shop whose users buy things of a colour, and at last one of the colour beside it."""
    shop = make_shop(users=users, seed=seed)
    items = shop.items.reshape(users, 7)
    items[:, 3:] = items[:, 3:] % 20 + 20 * (items[:, :1] // 20 ^ 1)
    popularity = np.bincount(items[:, :5].ravel(), minlength=240).astype(float)
    return replace(shop, items=items.ravel(), popularity=popularity)


@pytest.fixture(scope="module", params=["items", "titles"])
def source(request, config, tmp_path_factory):
    """Options, and the folder of a shop's towers."""
    own = replace(config, reads=request.param, residual=request.param == "items")
    shop = in_two_colours(users=200, seed=1)
    return own, stage(tmp_path_factory.mktemp("source") / "shop", shop, own)


def built(config, shop):
    source = training_source(
        config, shop, text_inputs(shop, load_tokenizer(config.backbone), config)
    )
    return build_module(config, shop, source, 4)


def test_backbones_projection_and_user_tower_are_those_of_the_other_shop(source):
    config, folder = source
    few = make_shop(users=3, seed=5)

    started = built(replace(config, start_from=str(folder)), few).average
    scratch = built(config, few).average

    theirs = load_item_tower(folder).float()
    for name, weights in theirs.bert.state_dict().items():
        assert torch.allclose(started.item_tower.bert.state_dict()[name], weights, atol=1e-2), name
    ours = [
        torch.linalg.norm(tower.item_tower.projection.weight - theirs.projection.weight)
        for tower in (started, scratch)
    ]
    assert ours[0] < 0.5 * ours[1]  # three shoppers add little to the projection
    if config.reads == "items":
        assert started.user_tower.decay != scratch.user_tower.decay
        assert (started.user_tower.actions.weight == started.user_tower.actions.weight[0]).all()
    temperature = read_manifest(folder, "towers").facts["temperature"]
    assert float(started.temperature) == pytest.approx(temperature, abs=1e-3)


def test_what_is_bought_next_in_the_other_shop_is_expected_in_a_new_one(source):
    config, folder = source
    few, cases = in_two_colours(users=3, seed=9), in_two_colours(users=60, seed=5).cases("valid")
    histories = [history[:3] for history in cases.histories]
    codes = [own[:3] for own in cases.interaction_codes]
    colours = np.array([history[0] // 20 for history in histories])

    def found(chosen):
        """Share of the first twenty items that have the colour of the purchase after next."""
        module = built(chosen, few)
        items = module.embed_items()
        nearest = (module.embed_users(items, histories, codes) @ items.T).topk(20).indices
        return (nearest.cpu().numpy() // 20 == colours[:, None] ^ 1).mean()

    assert found(replace(config, start_from=str(folder))) > 3 * found(config)


def test_the_other_shop_is_an_input_and_this_one_is_refused(source, tmp_path):
    config, folder = source
    started = replace(config, start_from=str(folder))

    made = stage(tmp_path / "shop", make_shop(users=30, seed=5), started)

    assert read_manifest(made, "towers").inputs["start_from"] == (
        read_manifest(folder, "towers").fingerprint
    )
    own = folder.parent.parent
    with pytest.raises(ValueError, match="must be the towers of another shop"):
        run("trial/towers", replace(started, dimension=8, widths=[]), own, trial)
    with pytest.raises(ValueError, match=f"through {folder}"):
        run("trial/towers", replace(config, start_from=str(made)), own, trial)


@pytest.mark.parametrize("different", [{"dimension": 8, "widths": []}, {"user_layers": 1}])
def test_towers_of_other_sizes_are_refused_by_name(source, shop, different):
    config, folder = source

    with pytest.raises(ValueError, match="same backbone, reads, dimension and user_layers"):
        built(replace(config, start_from=str(folder), **different), shop)
