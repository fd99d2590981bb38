import numpy as np
import polars as pl
import pytest

from backbone.config import TrainingConfig
from classifier.__main__ import classify
from classifier.config import ClassifierConfig
from tests.conftest import COLOURS, THINGS


def make_items():
    """240 items: a path of warmth and colour, the thing, and a price that words explain."""
    rng = np.random.default_rng(0)
    rows = [
        {
            "item_id": f"{colour}-{thing}",
            "title": f"{colour} {thing}",
            "category": f"{'warm' if place < 6 else 'cold'} > {colour}",
            "thing": thing if place % 2 else None,
            "price": round(float(np.exp(0.3 * place + 0.1 * number + 0.05 * rng.normal())), 2),
        }
        for place, colour in enumerate(COLOURS)
        for number, thing in enumerate(THINGS)
    ]
    missing = pl.int_range(pl.len()) % 17 == 0
    category = pl.when(~missing).then("category").alias("category")
    return pl.DataFrame(rows).with_columns(category)


@pytest.fixture(scope="session")
def items():
    return make_items()


@pytest.fixture(scope="session")
def make_config(tiny_bert):
    """Function that returns the options of a quick classifier with the tiny BERT."""

    def make_config(target="category", *, training=None, **options):
        few = {
            "max_epochs": 4,
            "batch_size": 32,
            "learning_rate": 3e-3,
            "new_learning_rate": 3e-3,
            "trained_layers": 2,
        }
        chosen = TrainingConfig(**few | (training or {}))
        options = {
            "text": "title",
            "label_words": False,
            "least_steps": 1,
            "least_checked": 1,
        } | options
        return ClassifierConfig(target=target, backbone=str(tiny_bert), training=chosen, **options)

    return make_config


@pytest.fixture(scope="session")
def shop_classifier(made_once, items, make_config):
    """Folder with `artifacts` and `reports` of a classifier of categories, things and prices."""

    def make(root):
        (root / "shop").mkdir()
        items.write_parquet(root / "shop" / "items.parquet")
        config = make_config(
            "category,thing,price", training={"max_epochs": 15, "patience": 15}, refit=False
        )
        classify(config, root / "shop", root / "artifacts", root / "reports", "the command")

    return made_once("classifier", make)
