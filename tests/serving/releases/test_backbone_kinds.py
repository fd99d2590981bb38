"""Backbones of every kind from training to a release that is searched and changed."""

import shutil

import numpy as np
import pytest

from lineage.manifest import read_manifest
from lineage.releases import live_release
from serving.api.limits import Limits
from serving.engine.engine import EngineConfig
from serving.live.live_engine import LiveEngine
from serving.releases.publish import PublishConfig, publish
from shortlist_client.api.item import Item
from shortlist_client.api.request import Shopper, Wishes
from tests.conftest import make_shop, save_bert
from tests.tiny_backbones import KINDS, save_tiny

pytestmark = pytest.mark.training
CONFIG = EngineConfig(ranked=6, limits=Limits(shortlist=12))
QUICK = ("gpt2",)  # all other tests have BERTs
SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS if kind not in QUICK]


@pytest.fixture
def served(build_release, tmp_path):
    """Trains, publishes and opens a release; the backbones it was made from are gone by then."""
    opened = []

    def serve(backbone, **options):
        shop = make_shop(users=40)
        options = {"epochs": 1, "last_fit": False, **options}
        root = build_release(tmp_path / "stages", shop, backbone=backbone, **options)
        publish(root, tmp_path / "releases" / "shop", PublishConfig(keep=2, last_fit=False))
        shutil.rmtree(root)
        for name in (backbone, options.get("user_backbone", backbone)):
            shutil.rmtree(name, ignore_errors=True)
        opened.append(LiveEngine.load(live_release(tmp_path / "releases" / "shop"), CONFIG))
        return opened[-1]

    yield serve
    for engine in opened:
        engine.close()


def check(engine):
    """New and edited items are found and ranked; searches are answered."""
    title = engine.current.cascade.catalogue.title(5)
    new = [Item(item_id=name, title="red shirt shirt") for name in ("new", "twin")]
    engine.upsert([*new, Item(item_id="i5", title=f"{title} красная")])
    assert engine.current.similar("new", Wishes(limit=1)).items[0].item_id == "twin"
    assert len(engine.current.recommend(Shopper(search="red shirt"), Wishes(limit=12)).items) == 12
    ranked = engine.current.rank(Shopper(history=["i3", "i7"]), ["i5", "new", "i2"], Wishes())
    assert sorted(item.item_id for item in ranked.items) == ["i2", "i5", "new"]
    assert all(np.isfinite([item.score, item.ranker_score]).all() for item in ranked.items)


@pytest.mark.parametrize("kind", [*QUICK, *SLOW])
def test_a_release_of_every_kind_answers_and_takes_items(served, tmp_path, kind):
    backbone = save_tiny(tmp_path / kind, kind)

    engine = served(str(backbone), item_layers=1)

    check(engine)


@pytest.mark.parametrize("reads", ["titles", pytest.param("items", marks=pytest.mark.slow)])
def test_the_towers_may_have_different_backbones(served, tmp_path, reads):
    items = save_tiny(tmp_path / "items", "xlm-roberta")
    users = save_bert(tmp_path / "users", layers=2, hidden=48, heads=2)

    engine = served(str(items), user_backbone=str(users), reads=reads)

    check(engine)
    towers = live_release(tmp_path / "releases" / "shop") / "towers"
    kinds = [(towers / f"{side}_tower" / "config.json").read_text() for side in ("user", "item")]
    assert ['"bert"' in kind for kind in kinds] == [True, False]
    assert read_manifest(towers, "towers").config["user_backbone"] == str(users)
