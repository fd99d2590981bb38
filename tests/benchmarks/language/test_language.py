"""The command on a table of labels, a table of numbers and a log of searches."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import yaml

from benchmarks.language.__main__ import main
from benchmarks.language.config import LanguageConfig
from benchmarks.language.results import Results
from benchmarks.language.search_models import Pairs
from benchmarks.language.searches import RANKED, SearchBench
from benchmarks.language.task import task_of
from benchmarks.language.text_peers import LABEL_PEERS, NUMBER_PEERS, Guesses
from benchmarks.quality.cascade_lists import cascade_lists
from classifier.__main__ import main as classify
from dataset.arrays import TEST
from dataset.searches import Searches
from lineage.manifest import read_manifest, writing
from serving.engine.engine import Engine, EngineConfig
from tests.classifier.conftest import make_items

pytestmark = pytest.mark.training


@pytest.fixture
def options(tmp_path, tiny_bert):
    """File of the options of a quick classifier."""
    path = tmp_path / "classifier.yaml"
    few = {"max_epochs": 2, "batch_size": 64, "learning_rate": 3e-3, "trained_layers": 2}
    path.write_text(
        yaml.safe_dump(
            {"backbone": str(tiny_bert), "refit": False, "least_steps": 4, "training": few}
        )
    )
    return path


@pytest.fixture
def table(tmp_path):
    make_items().with_columns(colour=pl.col("title").str.split(" ").list.first()).write_parquet(
        tmp_path / "shop.parquet"
    )
    return tmp_path / "shop.parquet"


@pytest.fixture
def lookup(monkeypatch):
    """Name of a peer that needs no package: labels and numbers by the first word that it knows."""

    def mean_of_word(texts, values):
        known = {}
        for text, value in zip(texts, values, strict=True):
            known.setdefault(text.split()[0], []).append(value)
        return lambda given: np.array(
            [np.mean(known.get(text.split()[0], [0])) for text in given], np.float64
        )

    def labels(learnt):
        predict = mean_of_word(learnt.texts, learnt.classes)
        return lambda texts: Guesses(classes=predict(texts).astype(np.int64), confidence=None)

    monkeypatch.setitem(LABEL_PEERS, "lookup", labels)
    monkeypatch.setitem(NUMBER_PEERS, "lookup", mean_of_word)
    return "lookup"


def measured(root, dataset, options, *given):
    places = ["--artifacts", str(root / "artifacts"), "--reports", str(root / "reports")]
    main(["--dataset", str(dataset), *places, "--classifier", str(options), *given])
    folder = root / "reports" / dataset.stem
    page = (folder / "language.html").read_text()
    found = json.loads((folder / "language.json").read_text())
    assert all(one["title"] in page for one in found["comparisons"])
    return found


def test_labels_are_measured_with_all_and_with_few_labels_clean_and_mistyped(
    tmp_path, table, options, lookup
):
    given = ["--target", "colour", "--text", "title", "--peers", lookup]

    found = measured(tmp_path, table, options, *given, "--per_class", "4,all", "--seeds", "2")

    few, few_typed, whole, whole_typed = found["comparisons"]
    assert few["title"] == "4 labels a class"
    assert few_typed["title"] == "4 labels a class, 10% of the words mistyped"
    assert whole["systems"][lookup]["accuracy"]["value"] == 1
    assert whole_typed["systems"][lookup]["accuracy"]["value"] < 1
    assert set(whole["systems"]["ours"]) == {
        "accuracy",
        "macro F1",
        "calibration error",
        "seconds",
    }
    assert 0 < whole_typed["systems"]["ours"]["calibration error"] < 1
    difference = few["differences"]["ours"][lookup]["accuracy"]
    assert difference["low"] <= difference["value"] <= difference["high"]
    assert found["task"] == "labels"
    assert not found["notes"]


def test_a_shops_classifier_is_measured_if_it_is_the_same_and_never_replaced(
    tmp_path, table, options, lookup
):
    own = ["--config", str(options), "--dataset", str(table), "--text", "title"]
    own += ["--artifacts", str(tmp_path / "artifacts"), "--reports", str(tmp_path / "reports")]
    classify([*own, "--target", "colour"])
    stage = tmp_path / "artifacts" / "shop" / "classifier"
    seconds = read_manifest(stage, "classifier").seconds
    given = ["--text", "title", "--peers", lookup, "--typos", "0"]

    same = measured(tmp_path, table, options, "--target", "colour", *given)
    measured(tmp_path, table, options, "--target", "thing", *given)

    assert same["comparisons"][0]["systems"]["ours"]["seconds"] == seconds
    assert read_manifest(stage, "classifier").config["target"] == "colour"


def test_a_number_that_no_label_exceeds_is_said(tmp_path, table, options, lookup, capsys):
    given = ["--target", "colour", "--text", "title", "--peers", lookup, "--typos", "0"]

    found = measured(tmp_path, table, options, *given, "--per_class", "500,all")

    assert [one["title"] for one in found["comparisons"]] == ["all labels"]
    assert "500 labels a class are not measured" in found["notes"][0]
    with pytest.raises(SystemExit):
        measured(tmp_path, table, options, *given, "--per_class", "500")
    assert "per_class must have a number below" in capsys.readouterr().err


def test_another_backbone_in_the_same_place_makes_predictions_again(table, tmp_path, options):
    place = tmp_path / "backbone"
    identities = []
    for seed in (1, 2):
        with writing(place, stage="backbone", config={}, inputs={"seed": str(seed)}):
            pass
        config = LanguageConfig(target="colour", text="title", classifier=str(options))
        options.write_text(yaml.safe_dump({"backbone": str(place)}))
        bench = task_of(config, table, tmp_path / "root").comparisons.__self__
        identities.append(bench.results.made_from)

    assert identities[0] != identities[1]


def test_few_labels_are_those_that_training_sees(tmp_path, table, options, lookup):
    given = ["--target", "colour", "--text", "title", "--peers", lookup]

    measured(tmp_path, table, options, *given, "--per_class", "4", "--seeds", "1")

    (stage,) = (tmp_path / "artifacts" / "shop" / "language").glob("*/classifier/manifest.json")
    texts = json.loads(stage.read_text())["facts"]["texts"]
    assert texts["train"] + texts["valid"] == 4 * 12
    assert texts["valid"] > 0


def test_numbers_are_measured_over_folds(tmp_path, table, options, lookup):

    found = measured(
        tmp_path,
        table,
        options,
        "--target",
        "price",
        "--text",
        "title",
        "--folds",
        "2",
        "--peers",
        lookup,
    )

    clean, typed = found["comparisons"]
    assert clean["cases"] == 240
    assert clean["systems"][lookup]["R²"] > 0.6
    error = {one["title"]: one["systems"][lookup] for one in (clean, typed)}
    first, second = (np.array(one["MAE of the logarithm"]["value"]) for one in error.values())
    assert first < second


def test_a_log_of_searches_is_measured_beside_peers_that_learn_nothing(tmp_path, faq, options):
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "files").symlink_to(faq / "stages")

    found = measured(tmp_path, faq / "files", options, "--peers", "BM25,untrained text")

    clean, typed = (one["systems"]["BM25"]["NDCG@10"]["value"] for one in found["comparisons"])
    assert typed < clean


@pytest.mark.filterwarnings("ignore")  # of the peer's own packages
def test_a_log_of_searches_is_measured_beside_trained_peers(tmp_path, faq, options):
    pytest.importorskip("sentence_transformers", exc_type=ImportError)
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "files").symlink_to(faq / "stages")

    found = measured(tmp_path, faq / "files", options, "--typos", "0")

    (clean,) = found["comparisons"]
    assert set(clean["systems"]) == {
        "ours",
        "BM25",
        "untrained text",
        "bi-encoder",
        "bi-encoder + cross-encoder",
    }
    assert set(clean["differences"]["ours"]["BM25"]) == {"NDCG@10", "recall@100", "accuracy@1"}
    assert clean["systems"]["BM25"]["NDCG@10"]["value"] > 0.9


def test_peers_learn_no_search_of_the_test(shop):
    of = np.arange(len(shop.items), dtype=np.int32) % 3
    of[shop.splits == TEST] = 3
    searches = Searches(
        texts=["red", "mug", "blue lamp", "only in the test"],
        of=of,
        relevance=np.full(len(of), 2, np.float32),
    )

    pairs = Pairs.of(replace(shop, searches=searches))

    assert set(pairs.searches) == {"red", "mug", "blue lamp"}
    assert len(pairs.items) == (shop.splits != TEST).sum()
    assert (pairs.relevance == 1).all()


def test_an_unknown_peer_is_refused_by_name(tmp_path, table, options, capsys):
    with pytest.raises(SystemExit):
        measured(tmp_path, table, options, "--target", "colour", "--peers", "SVM")

    assert "peers must be among TF-IDF + SVM, " in capsys.readouterr().err


def test_where_there_is_a_ranker_the_served_lists_are_measured_too(release, shop):
    bench = SearchBench(
        config=LanguageConfig(),
        data=shop.for_refit(),
        root=release,
        results=Results(folder=release / "language", made_from={}),
    )
    cases = shop.cases("test").sample(5, 0)

    found = bench._ranked()(cases)

    served = cascade_lists(Engine.load(release, EngineConfig()), shop.for_refit(), cases)
    assert RANKED in bench.names
    np.testing.assert_array_equal(found, served.cascade[:, :100])
