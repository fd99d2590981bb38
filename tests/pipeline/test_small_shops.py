"""New and small shops: what cannot be decided has a stated default, and the release answers."""

import json

import pytest

from benchmarks.quality.config import BenchConfig
from benchmarks.quality.evaluate import benchmark
from dataset.arrays import load_dataset
from lineage.manifest import read_manifest
from serving.engine.engine import Engine, EngineConfig
from shortlist_client.api.request import Shopper, Wishes
from tests.pipeline.run import every_stage
from tests.pipeline.shops import ITEMS, SMALL, write

TRIED = ("one event", "three items")
"""The others are tried in the slow suite."""


PARTS = [
    pytest.param(name, marks=() if name in TRIED else pytest.mark.slow, id=name) for name in SMALL
]


@pytest.mark.parametrize("name", PARTS)
def test_a_small_shop_builds_and_answers(name, tmp_path, tiny_bert):
    folder = write(tmp_path / "shop", *SMALL[name])

    root = every_stage(folder, tmp_path / "artifacts", tiny_bert)
    benchmark(BenchConfig(max_users=10, examples=2), "shop", root, tmp_path / "reports")

    engine, data = Engine.load(root, EngineConfig()), load_dataset(root / "data")
    engine.warm_up()
    first, others = data.item_ids[0], len(data.item_ids) - 1
    every = list(data.item_ids)
    wishes = Wishes(limit=3)
    asked = {
        "anyone": (engine.recommend(Shopper(), wishes), others + 1),
        "search": (engine.recommend(Shopper(search="red mug"), wishes), others + 1),
        "history": (engine.recommend(Shopper(history=[first]), wishes), max(others, 1)),
        "everything": (engine.recommend(Shopper(history=every), wishes), others + 1),
        "retrieve": (engine.retrieve(Shopper(history=every), wishes), others + 1),
        "search and history": (
            engine.recommend(Shopper(history=every, search="red mug"), wishes),
            others + 1,
        ),
        "similar": (engine.similar(first, wishes), others),
        "rank": (engine.rank(Shopper(history=[first]), [first], wishes), 1),
    }
    for answer, most in asked.values():
        assert len(answer.items) == min(3, most)
    for user in list(data.user_ids)[:5]:
        assert engine.recommend(Shopper(user_id=user), wishes).items


@pytest.fixture(scope="module")
def without_interactions(tmp_path_factory, tiny_bert):
    """Finished stages of a shop without interactions."""
    folder = tmp_path_factory.mktemp("new")
    return every_stage(write(folder / "shop", ITEMS, None), folder / "artifacts", tiny_bert)


def test_without_interactions_a_search_and_a_history_find_like_titles(without_interactions):
    engine = Engine.load(without_interactions, EngineConfig())

    (found,) = engine.recommend(Shopper(search="green lamp"), Wishes(limit=1)).items
    assert found.title == "green lamp"
    (similar,) = engine.similar("green-lamp", Wishes(limit=1)).items
    (bought,) = engine.recommend(Shopper(history=["green-lamp"]), Wishes(limit=1)).items
    assert bought.item_id == similar.item_id
    facts = read_manifest(without_interactions / "ranker", "ranker").facts
    assert not facts["ranking pays"]
    assert facts["epochs"] == 0


def test_the_report_says_what_could_not_be_decided_or_measured(
    without_interactions, tmp_path, caplog
):
    benchmark(BenchConfig(), "shop", without_interactions, tmp_path)

    content = json.loads((tmp_path / "report.json").read_text())
    said = " ".join(content["notes"])
    assert content["systems"] == {}
    for part in (
        "there are no interactions",
        "the towers are not trained",
        "the neighbour lists weigh 1.0",
        "the ranker is not trained and the shortlist's order stays",
        "no figure is measured",
    ):
        assert said.count(part) == 1
    assert "no figure is measured" in caplog.text
    assert "No figure is measured" in (tmp_path / "report.html").read_text()
