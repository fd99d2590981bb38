import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.quality.cascade_lists import cascade_lists, case_shoppers
from benchmarks.quality.config import BenchConfig
from benchmarks.quality.evaluate import benchmark, made_from
from benchmarks.quality.figures import head_ranked, slices
from benchmarks.quality.ranked_cases import ranked_cases
from benchmarks.quality.systems import evaluated_cases
from benchmarks.quality.timed_peers import TIMED_PEERS
from benchmarks.report.tables import results_table
from evaluation.page import is_up_to_date
from lineage.stages import CASCADE, FIGURES
from serving.api.request import Method, Request
from serving.engine.engine import Engine, EngineConfig
from shortlist_client.api.request import Wishes

CONFIG = BenchConfig(max_users=25, examples=4, explained=6)
SYSTEMS = ["popularity", "item-knn", *TIMED_PEERS, "lambdarank"]
SYSTEMS += ["towers", "shortlist", "cascade"]


@pytest.fixture(scope="module")
def engine(release):
    return Engine.load(release, EngineConfig())


@pytest.fixture(scope="module")
def cases(shop, tmp_path_factory):
    return evaluated_cases(CONFIG, shop, tmp_path_factory.mktemp("no-saved-lists"))


@pytest.fixture(scope="module")
def own(engine, shop, cases):
    return cascade_lists(engine, shop, cases)


@pytest.fixture(scope="module")
def report(release, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports") / "shop"
    return benchmark(CONFIG, "shop", release, folder), folder


def rows(answer):
    return [int(item.item_id[1:]) for item in answer.items]


def test_offline_lists_equal_the_served_lists(engine, own, shop, cases):
    wishes = Wishes(limit=engine.shortlist)
    for case, shopper in enumerate(case_shoppers(shop, cases)):
        now = cases.when(case)[0]
        answer = engine.recommend(shopper, wishes, now=now)
        request = Request(method=Method.RETRIEVE, shopper=shopper, wishes=wishes, now=now)
        ((_, retrieved),) = filter(None, engine.answers([request]))
        assert own.cascade[case].tolist() == rows(answer)
        assert own.shortlist[case].tolist() == rows(retrieved)


def test_the_report_holds_every_metric_of_every_system(report):
    content = json.loads((report[1] / "report.json").read_text())

    assert content["dataset"] == "shop"
    assert (content["users"], content["cases"]) == (25, 25)
    assert content["notes"][0] == "split by the test"
    assert FIGURES in content["notes"]
    assert any("chosen on valid" in note for note in content["notes"])
    assert {*content["ratios"]} <= {f"cascade / {name}" for name in TIMED_PEERS}
    assert content["history"] == "excluded"
    assert list(content["systems"]) == SYSTEMS
    for metrics in content["systems"].values():
        assert set(metrics) == {
            "recall@10", "recall@20", "recall@50", "recall@100", "ndcg@10", "mrr", "coverage@10",
        }  # fmt: skip
        for interval in metrics.values():
            assert 0 <= interval["low"] <= interval["value"] <= interval["high"] <= 1
    assert set(content["seconds"]) == {*CASCADE, "bench"}


def test_the_report_says_whether_probabilities_are_right(report, engine):
    content = json.loads((report[1] / "report.json").read_text())["calibration"]

    assert list(content) == ["whole answers", "first 10", "first"]
    learnt = engine.cascade.calibrated_head  # of the 200 items of an answer
    assert [figures["predictions"] for figures in content.values()] == [25 * learnt, 250, 25]
    for figures in content.values():
        assert sum(one["count"] for one in figures["bins"]) == figures["predictions"]
        assert 0 <= figures["error"] < 0.5
    assert content["whole answers"]["error"] < 0.03
    assert 'class="reliability"' in (report[1] / "report.html").read_text()


def test_auto_reaches_what_the_report_says(report, engine):
    auto = json.loads((report[1] / "report.json").read_text())["auto"]

    assert 1 <= auto["cases"] <= 200
    assert auto["rule"] == engine.cascade.calibration.depth.rule
    assert 1 <= auto["mean ranked"] <= auto["of"] == engine.ranked
    assert auto["ndcg@10 of the whole"] == report[0].systems["cascade"]["ndcg@10"]
    assert auto["time saved"] == pytest.approx(
        1 - auto["median ms"] / auto["median ms of the whole"]
    )


def test_the_report_shows_the_variety_of_three_systems(report):
    content = json.loads((report[1] / "report.json").read_text())
    variety, systems = content["variety"], content["systems"]

    cascade, shortlist, peer = variety["systems"]
    assert (cascade, shortlist, peer) == (
        "cascade",
        "shortlist",
        report[0].best("ndcg@10", peers=True),
    )
    assert variety["category"] == "colour"
    for name, figures in variety["systems"].items():
        if name != "lambdarank":  # its figures are of one training
            assert figures["coverage@10"] == systems[name]["coverage@10"]
    for option in ("strength", "calibrated"):
        assert variety["trade-offs"][option]["0"]["ndcg@10"] == systems["cascade"]["ndcg@10"]
    assert set(variety["exposure"]) == {"popularity", "colour", "thing"}
    page = (report[1] / "report.html").read_text()
    assert "Variety and fairness" in page
    assert "Exposure by colour" in page


def test_every_feature_of_the_ranker_is_weighed(report, engine):
    importance = json.loads((report[1] / "report.json").read_text())["importance"]

    assert list(importance["features"]) == list(engine.cascade.features.names)
    assert 1 <= importance["cases"] <= 6
    assert importance["surrogate"]["depth"] == 4


def test_cases_are_scored_as_they_are_served(engine, own, cases):
    ranked = ranked_cases(engine, own, cases, 8, seed=0)
    answers = {int(user): answer for user, answer in zip(cases.user_rows, own.answers, strict=True)}

    scores = ranked.scores(ranked.features)

    for user, of_case, logits in zip(ranked.cases.user_rows, ranked.rows, scores, strict=True):
        served = {int(item.item_id[1:]): item.ranker_score for item in answers[int(user)].items}
        expected = [served[int(row)] for row in of_case]
        np.testing.assert_allclose(logits, expected, atol=2e-2)
    assert ranked_cases(engine, own, cases, 0, seed=0) is None


def test_the_page_shows_the_examples(report, shop):
    page = (report[1] / "report.html").read_text()

    assert len(report[0].examples) == 4
    for example in report[0].examples:
        assert example.history[0] in page


def test_no_step_of_the_cascade_gains_targets(report):
    found = [interval["value"] for interval in report[0].decomposition.values()]

    _, recalled, read, ranked, _ = found
    assert recalled >= read >= 0
    assert recalled >= ranked


def test_every_target_is_in_one_slice_of_a_kind(shop):
    cases = shop.cases("test").select(np.arange(30))
    first = cases.targets[0]
    two = replace(cases, targets=[np.array([first[0], 5]), *cases.targets[1:]])
    sold = shop.popularity.copy()
    sold[first], sold[5] = 2, 90
    data = replace(shop, popularity=sold)
    all_items = np.tile(np.arange(240, dtype=np.int32), (30, 1))
    none = np.full((30, 5), -1, np.int32)
    half = np.tile(first[:1].astype(np.int32), (30, 1))

    figures = slices(CONFIG, data, {"all": all_items, "none": none, "half": half}, two)

    rare, frequent, long = figures.values()
    users = [int(name.split("(")[1].split()[0]) for name in figures]
    assert users[0] + users[1] == 31  # the first user is in both
    assert users[2] == 30
    assert rare["half"]["value"] * users[0] == pytest.approx(
        sum(bool(np.isin(t, first[0]).any()) for t in two.targets)
    )
    for kind in (rare, frequent, long):
        assert kind["none"]["value"] == 0
        assert kind["all"]["value"] > 0


def test_trained_towers_beat_popularity(report):
    systems = report[0].systems

    assert systems["towers"]["recall@10"]["low"] > systems["popularity"]["recall@10"]["high"]


def test_users_that_the_dataset_names_are_evaluated_in_its_order(shop, tmp_path):
    import polars as pl

    pl.DataFrame({"row": [0, 1], "user_id": ["u7", "u3"]}).write_parquet(
        tmp_path / "eval_users_6k.parquet"
    )

    cases = evaluated_cases(CONFIG, shop, tmp_path)

    assert cases.user_rows.tolist() == [7, 3]
    np.testing.assert_array_equal(cases.histories[0], shop.history(7, before=2))


def test_the_table_has_one_row_per_system(report):
    assert results_table(report[0]).row_count == len(SYSTEMS)


@pytest.mark.parametrize(("option", "value"), [("max_users", 0), ("decay", 0.0), ("decay", 1.5)])
def test_bench_config_refuses_invalid_values(option, value):
    with pytest.raises(ValueError, match=option):
        BenchConfig(**{option: value})


def test_a_report_is_up_to_date_until_its_inputs_change(report, release, tmp_path):
    folder = report[1]

    def is_made(folder, config):
        files = folder / "report.html", folder / "report.json"
        return is_up_to_date(*files, made_from(config, "shop", release))

    assert is_made(folder, CONFIG)
    assert not is_made(folder, BenchConfig(max_users=24))
    assert not is_made(tmp_path, CONFIG)


def test_ranking_none_equals_the_shortlist_and_ranking_all_equals_the_cascade(report):
    content = json.loads((report[1] / "report.json").read_text())
    figures = {int(label.split()[0]): found for label, found in content["by_length"].items()}

    assert figures[0] == content["systems"]["shortlist"]["ndcg@10"]
    assert figures[max(figures)] == content["systems"]["cascade"]["ndcg@10"]


def test_the_ranked_head_precedes_the_rest_of_the_shortlist():
    recalled = np.array([5, 3, 8, 1, 9, -1], np.int32)
    ranked = np.array([8, 5, 9, 1, 3, -1], np.int32)

    assert head_ranked(recalled, ranked, 3).tolist() == [8, 5, 3, 1, 9, -1, -1, -1, -1, -1]
