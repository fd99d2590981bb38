import json
import sys

import numpy as np
import pytest

from benchmarks.quality.cascade_lists import cascade_lists
from benchmarks.quality.config import BenchConfig
from benchmarks.quality.recall import main
from benchmarks.quality.retrieval_recall import own_lists, score, values
from benchmarks.quality.systems import evaluated_cases
from benchmarks.quality.untrained import Untrained
from dataset.cases import Cases
from evaluation.metrics import recall
from lineage.cli import finished_config
from retrieval.retriever import Retriever
from serving.engine.engine import Engine, EngineConfig
from tests.rounding import rounding
from towers.config import TowersConfig

pytestmark = pytest.mark.numeric

CONFIG = BenchConfig(max_users=25)


@pytest.fixture(scope="module")
def cases(shop, tmp_path_factory):
    return evaluated_cases(CONFIG, shop, tmp_path_factory.mktemp("no-saved-lists"))


@pytest.fixture(scope="module")
def systems(release):
    return score(CONFIG, "shop", release)


def test_recall_equals_that_of_the_served_lists(release, shop, cases):
    ours = own_lists(Retriever.load(release), cases, widths=[8])

    served = cascade_lists(Engine.load(release, EngineConfig()), shop, cases)

    for mine, theirs in (("towers", served.towers), ("towers and neighbours", served.shortlist)):
        assert recall(ours[mine], cases.targets, 10).tolist() == pytest.approx(
            recall(theirs, cases.targets, 10).tolist()
        )


def test_every_width_has_a_row(systems):
    assert {"towers", "towers, first 8 of 16", "untrained text", "item-knn"} <= systems.keys()
    assert systems["towers"] != systems["towers, first 8 of 16"]


def test_a_difference_equals_the_difference_of_its_two_systems(systems):
    for metric, found in systems["towers − item-knn"].items():
        expected = systems["towers"][metric]["value"] - systems["item-knn"][metric]["value"]
        assert found["value"] == pytest.approx(expected)
        assert found["low"] <= found["value"] <= found["high"]


def test_a_search_by_title_finds_the_item_with_and_without_a_history(systems):
    for name in ("search alone", "search and history"):
        found = systems[f"{name} (25 users, one target each)"]
        assert found["recall@10"]["value"] > max(0.9, systems["towers"]["recall@10"]["high"])


def test_the_untrained_backbone_finds_the_texts_nearest_to_a_search(release, shop, cases):
    trained = finished_config(release, "towers", TowersConfig)
    untrained = Untrained.read(shop, trained, cache_below=release / "training")
    few = cases.select(np.arange(2))

    found = untrained.like_searches(["red mug", "blue lamp"], few, 5)

    for case, text in enumerate(["red mug", "blue lamp"]):
        own = untrained.texts[list(shop.texts).index(text)]
        scores = (untrained.texts @ own).numpy()
        scores[few.histories[case]] = -np.inf
        best = np.sort(scores)[::-1][:5]
        np.testing.assert_allclose(scores[found[case]], best, atol=rounding(1, terms=32))


def test_rare_recall_is_nan_for_users_without_a_rare_target(shop):
    common = int(np.argmax(shop.popularity))
    case = Cases(
        places=np.arange(1),
        user_rows=np.arange(1),
        histories=[np.array([0])],
        interaction_codes=[np.array([0])],
        targets=[np.array([common])],
        excluded=[np.empty(0, np.int32)],
        times=None,
        history_times=[None],
    )

    found = values(shop, np.array([[common, -1]], np.int32), case)

    assert np.isnan(found["rare recall@100"]).all()


def test_rare_recall_counts_only_targets_with_few_training_purchases(shop):
    rare, common = int(np.argmin(shop.popularity)), int(np.argmax(shop.popularity))
    assert shop.popularity[rare] <= 5 < shop.popularity[common]
    cases = Cases(
        places=np.arange(3),
        user_rows=np.arange(3),
        histories=[np.array([0])] * 3,
        interaction_codes=[np.array([0])] * 3,
        targets=[np.array([rare]), np.array([common]), np.array(sorted([rare, common]))],
        excluded=[np.empty(0, np.int32)] * 3,
        times=None,
        history_times=[None] * 3,
    )
    lists = np.array([[rare, common]] * 2 + [[common, -1]], np.int32)

    found = values(shop, lists, cases)

    np.testing.assert_array_equal(found["rare recall@100"], [1, np.nan, 0])
    assert "recall@100" not in found  # the lists are shorter


def test_the_command_writes_what_it_prints(release, tmp_path, monkeypatch, capsys):
    arguments = ["--dataset", "shop", "--artifacts", str(release.parent), "--max_users", "25"]
    monkeypatch.setattr(sys, "argv", ["recall", *arguments, "--reports", str(tmp_path)])

    main()

    written = json.loads((tmp_path / "shop" / "recall.json").read_text())
    value = written["systems"]["towers"]["recall@10"]["value"]
    assert f"{value:.4f}" in capsys.readouterr().out
