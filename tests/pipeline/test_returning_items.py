"""A shop whose items come back: own items are recalled, ranked and named."""

import numpy as np
import polars as pl
import pytest

from dataset.config import DataConfig
from lineage.manifest import read_manifest
from serving.engine.engine import Engine, EngineConfig
from shortlist_client.api.answer import Source
from shortlist_client.api.request import Shopper, Wishes
from tests.pipeline.run import every_stage

ITEMS, USERS, WEEKS = 60, 40, 12
WEEK = 7 * 86_400


@pytest.fixture(scope="module")
def root(tmp_path_factory, tiny_bert):
    """Stages of a shop where everybody buys one item of their own, and some other, every week."""
    random, folder = np.random.default_rng(0), tmp_path_factory.mktemp("shop") / "shop"
    folder.mkdir()
    names = [f"red mug {item}" if item % 2 else f"green lamp {item}" for item in range(ITEMS)]
    items = pl.DataFrame({"item_id": [f"i{item}" for item in range(ITEMS)], "title": names})
    items.write_parquet(folder / "items.parquet")
    rows = [
        (f"u{user}", f"i{item}", 1_700_000_000 + week * WEEK + 60 * user + place)
        for user in range(USERS)
        for week in range(WEEKS)
        for place, item in enumerate((user, int(random.integers(ITEMS))))
    ]
    interactions = pl.DataFrame(rows, ["user_id", "item_id", "timestamp"], orient="row")
    interactions.write_parquet(folder / "interactions.parquet")
    return every_stage(
        folder, folder.parent / "artifacts", tiny_bert, DataConfig(repeats="allow", daily_cap=0)
    )


def test_own_items_are_recalled_and_come_first(root):
    engine = Engine.load(root, EngineConfig())

    facts = read_manifest(root / "index", "index").facts
    firsts = [
        engine.recommend(Shopper(user_id=f"u{user}"), Wishes(limit=1)).items[0]
        for user in range(USERS)
    ]

    assert facts["own items weight"] > 0
    assert sum(item.item_id == f"i{user}" for user, item in enumerate(firsts)) > 0.7 * USERS
    assert all(Source.OWN_ITEMS in item.sources for item in firsts)
    assert "interactions with the item" in engine.cascade.ranker.feature_names
