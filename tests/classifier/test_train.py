import json

import numpy as np
import polars as pl
import pytest

from backbone.load import load_bert
from classifier.__main__ import classify
from classifier.module import ClassifierModule
from classifier.predict import Classifier
from lineage.manifest import MissingArtifactError, read_manifest
from lineage.stages import PARAMETERS
from tests.rounding import rounding

pytestmark = pytest.mark.training


def figures(folder):
    return json.loads((folder / "classification.json").read_text())


def run(config, table, root):
    classify(config, table, root / "artifacts", root / "reports", "the command")
    return figures(root / "reports"), Classifier.load(root / "artifacts" / "classifier")


@pytest.fixture
def table(tmp_path, items):
    items.write_parquet(tmp_path / "items.parquet")
    return tmp_path / "items.parquet"


@pytest.mark.numeric
def test_a_classifier_learns_labels_paths_and_numbers_together(shop_classifier):
    found = figures(shop_classifier / "reports")["targets"]

    assert found["category"]["accuracy"] > 0.8
    assert found["category"]["levels"][0]["accuracy"] > 0.8
    assert found["price"]["logarithm"]
    assert found["price"]["learnt_scale"]["r2"] > 0.7
    assert set(found["category"]["per_class"]["cold > teal"]) == {
        "precision",
        "recall",
        "f1",
        "support",
    }


@pytest.mark.numeric
def test_probabilities_are_consistent_down_the_hierarchy(shop_classifier):
    classifier = Classifier.load(shop_classifier / "artifacts" / "classifier")
    category = classifier.targets["category"]
    states = classifier.read(["red mug", "teal lamp", "mug"])

    (above,) = classifier.probabilities(states, category, level=0)
    (below,) = classifier.probabilities(states, category)

    sums = np.zeros_like(above)
    np.add.at(sums.T, category.parents[1], below.T)
    np.testing.assert_allclose(sums, above, atol=rounding(1, terms=64))
    assert above.sum(axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.numeric
def test_predictions_do_not_depend_on_the_other_texts(shop_classifier):
    classifier = Classifier.load(shop_classifier / "artifacts" / "classifier")

    alone = classifier.predict(["red mug"], 3)
    among = classifier.predict(["navy basket a b a b a b", "red mug", ""], 3)

    assert alone.labels[0] == among.labels[1]
    assert among.probabilities[1] == pytest.approx(alone.probabilities[0], abs=1e-4)
    assert (np.diff(among.probabilities, axis=1) <= 0).all()


def test_an_up_to_date_classifier_is_not_trained_again(
    shop_classifier, make_config, monkeypatch, tmp_path
):
    monkeypatch.setattr("classifier.train.train", None)
    config = make_config(
        "category,thing,price", training={"max_epochs": 15, "patience": 15}, refit=False
    )

    classify(
        config,
        shop_classifier / "shop",
        shop_classifier / "artifacts",
        shop_classifier / "reports",
        "again",
    )

    assert figures(shop_classifier / "reports")["command"] == "the command"


@pytest.mark.numeric
def test_a_killed_training_resumes_to_the_same_classifier(
    table, make_config, monkeypatch, tmp_path
):
    config = make_config(training={"dropout": 0.1, "max_epochs": 2})
    _, whole = run(config, table, tmp_path / "whole")
    step, epochs = ClassifierModule.training_step, []

    def dies_in_the_refit(self, batch, batch_idx):
        if self.current_epoch == 1 and not self.trainer.val_dataloaders:
            raise KeyError("killed")
        return step(self, batch, batch_idx)

    monkeypatch.setattr(ClassifierModule, "training_step", dies_in_the_refit)
    with pytest.raises(KeyError):
        run(config, table, tmp_path / "killed")
    with pytest.raises(MissingArtifactError):
        read_manifest(tmp_path / "killed" / "artifacts" / "classifier", "classifier")
    monkeypatch.setattr(ClassifierModule, "training_step", step)
    monkeypatch.setattr(
        ClassifierModule, "on_train_epoch_start", lambda self: epochs.append(self.current_epoch)
    )

    _, resumed = run(config, table, tmp_path / "killed")

    assert epochs == [1]
    expected = whole.predict(["red mug"], 12)
    found = resumed.predict(["red mug"], 12)
    assert found.labels == expected.labels
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-4)


@pytest.mark.parametrize(
    ("training", "options"),
    [
        pytest.param({"trained_layers": 0}, {"refit": False}, id="frozen"),
        pytest.param({"trained_layers": 1}, {"averaging": 0.0}, id="top"),
        pytest.param({"adapter": {"kind": "adalora", "rank": 2}}, {"refit": False}, id="adalora"),
        pytest.param({"adapter": {"kind": "bottleneck"}}, {"refit": False}, id="bottleneck"),
        pytest.param({"adversarial": "fgm"}, {"refit": False}, id="fgm"),
        pytest.param({"dropout": 0.1}, {"refit": False, "rdrop": 1.0}, id="rdrop"),
        pytest.param({"optimizer": "sgd", "learning_rate": 0.1}, {"refit": False}, id="sgd"),
        pytest.param({}, {"sampled_above": 2, "negatives": 8, "refit": False}, id="sampled"),
        pytest.param({}, {"class_weights": "balanced", "refit": False}, id="balanced"),
    ],
)
def test_every_way_of_training_beats_guessing(table, make_config, tmp_path, training, options):
    from backbone.config import AdapterConfig

    if "adapter" in training:
        training = training | {"adapter": AdapterConfig(**training["adapter"])}

    found, _ = run(make_config(training=training, **options), table, tmp_path)

    assert found["accuracy"] > 3 / 12


def test_seeds_are_averaged_into_one_artefact(table, make_config, tmp_path):
    config = make_config(training={"max_epochs": 2}, seeds=2, refit=False)

    found, classifier = run(config, table, tmp_path)

    folder = tmp_path / "artifacts" / "classifier"
    assert sorted(path.name for path in folder.glob("backbone*")) == ["backbone", "backbone-1"]
    facts = read_manifest(folder, "classifier").facts
    assert len(facts["epochs"]) == 2
    backbones = sum(weights.numel() for weights in load_bert(str(folder / "backbone")).parameters())
    assert facts[PARAMETERS] > 2 * backbones
    assert classifier.read(["red mug"]).shape == (1, 64)
    assert found["accuracy"] > 3 / 12


def test_labels_that_training_never_saw_count_as_mistakes(items, make_config, tmp_path):
    split = pl.when(pl.int_range(pl.len()) % 5 == 0).then(pl.lit("test")).otherwise(pl.lit("train"))
    table = items.drop_nulls("category").with_columns(split.alias("split"))
    new = pl.when(pl.col("split") == "test").then(pl.lit("new > one")).otherwise("category")
    table.with_columns(new.alias("category")).write_csv(tmp_path / "shop.csv")

    found, _ = run(
        make_config(training={"trained_layers": 0, "max_epochs": 1}, refit=False),
        tmp_path / "shop.csv",
        tmp_path,
    )

    assert found["accuracy"] == 0
    assert found["unknown_labels"] == found["texts"] == found["rows"]["test"]
    assert found["unknown"] == ["new > one"]


@pytest.mark.parametrize(
    ("column", "says"),
    [
        pytest.param(["x"] * 240, "two different labels at least in training rows, got one, 'x'"),
        pytest.param([None] * 240, "it has no values; fill it in, or name another"),
        pytest.param([1.5] * 240, "two different labels"),
    ],
)
def test_a_target_that_cannot_be_learnt_is_refused(items, make_config, tmp_path, column, says):
    table = items.with_columns(pl.Series("category", column))
    table.write_parquet(tmp_path / "items.parquet")

    with pytest.raises(ValueError, match=says):
        run(make_config(), tmp_path / "items.parquet", tmp_path)


def test_the_page_is_one_file_with_all_pictures(shop_classifier):
    page = (shop_classifier / "reports" / "classification.html").read_text()

    assert "http" not in page.replace("http://www.w3.org", "")
    assert page.count("<svg") >= 7  # two of each level and of the things, one of the prices
    assert "Most confident mistakes" in page or "Confusions" in page


def test_adversarial_training_of_heads_alone_is_refused(make_config):
    with pytest.raises(ValueError, match=r"add --training\.trained_layers=1"):
        make_config(training={"trained_layers": 0, "adversarial": "fgm"})
