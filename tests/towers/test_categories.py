"""Towers that learn an attribute of the items beside purchases."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from backbone.config import TrainingConfig
from dataset.arrays import StringColumn, save_dataset
from dataset.postings import KeywordPostings, save_postings
from lineage.cli import run
from lineage.manifest import read_manifest, writing
from towers.categories import Categories, CategoryHead
from towers.config import TowersConfig
from towers.train import train, trial

TWO = Categories(
    values=["red", "blue"],
    owners=np.array([0, 1, 1, 3, 4]),
    numbers=np.array([0, 0, 1, 1, 1]),
    held_out=np.array([3]),
)


def test_the_loss_is_the_mean_cross_entropy_of_the_items_whose_values_are_learnt():
    torch.manual_seed(0)
    head = CategoryHead(TWO, dimension=4)
    torch.nn.init.normal_(head.linear.weight)
    items = functional.normalize(torch.randn(5, 4), dim=-1)

    loss = head.loss(items, torch.tensor([1, 3, 0, 2, 900]))

    logs = head(items).log_softmax(dim=1)
    expected = -(logs[0].mean() + logs[2, 0]) / 2  # row 1 has both values, row 0 the first
    torch.testing.assert_close(loss, expected)


def test_a_batch_without_learnt_values_has_no_loss():
    head = CategoryHead(TWO, dimension=4)

    assert head.loss(torch.ones(2, 4), torch.tensor([3, 2])) == 0


def test_accuracy_is_of_the_held_out_items():
    wrong, right = np.array([0]), np.array([1])

    assert TWO.accuracy(wrong) == {"predicted": 0.0, "most frequent": 0.0}
    assert TWO.accuracy(right)["predicted"] == 1.0


@pytest.fixture(scope="module")
def root(tmp_path_factory, shop):
    """A shop whose items have a colour, and numbers that are no keywords."""
    root = tmp_path_factory.mktemp("shop")
    colours = StringColumn.of(sorted({title.split()[0] for title in shop.titles}))
    rows = [
        [row for row, title in enumerate(shop.titles) if title.split()[0] == colour]
        for colour in colours
    ]
    postings = KeywordPostings.of(
        list(colours), np.cumsum([0, *map(len, rows)]), np.concatenate(rows)
    )
    with writing(root / "data", stage="data", config={}, inputs={}) as (folder, _):
        save_dataset(folder, shop)
        save_postings(folder, {"colour": "keyword"}, [postings])
    return root


@pytest.mark.training
def test_towers_predict_the_category_of_items_whose_category_they_have_not_learnt(root, tiny_bert):
    training = TrainingConfig(
        max_epochs=2, examples_per_epoch=128, batch_size=32, learning_rate=3e-3, trained_layers=2
    )
    config = TowersConfig(
        backbone=str(tiny_bert), dimension=16, widths=[8], category="colour", training=training
    )

    for stage, make in {"trial/towers": trial, "towers": train}.items():
        run(stage, replace(config, category_weight=3.0), root, make)

        facts = read_manifest(root / stage, "towers").facts
        accuracy = facts["held-out items whose colour is right"]
        assert accuracy["predicted"] > 0.5 > accuracy["most frequent"]


@pytest.mark.parametrize(
    ("attribute", "message"),
    [("size", r"one of \['colour'\], got 'size'"), ("", r"one of \['colour'\], got ''")],
)
def test_an_attribute_that_is_none_is_refused_by_name(root, attribute, message):
    with pytest.raises(ValueError, match=message):
        Categories.of(root / "data", attribute, 240, seed=0)


def test_a_tenth_of_the_items_is_held_out_at_random(root):
    categories = Categories.of(root / "data", "colour", 240, seed=0)

    assert len(categories.held_out) == 24
    assert len(set((categories.held_out // 20).tolist())) > 3
