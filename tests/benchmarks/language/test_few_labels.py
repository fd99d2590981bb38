import json

import numpy as np
import polars as pl
import pytest
import yaml

from benchmarks.language import few_labels
from benchmarks.language.compressed import FrozenHeads
from benchmarks.language.few import drawn
from benchmarks.language.few_labels import steps_of
from classifier.config import ClassifierConfig
from classifier.fit import fit_classifier
from dataset.arrays import TEST, TRAIN
from dataset.labelled_texts import LabelledTexts

pytestmark = pytest.mark.training


def test_each_label_has_as_many_examples_and_draws_differ():
    labels = ["a"] * 20 + ["b"] * 30 + ["c"] * 2

    first, second = (drawn(labels, np.arange(5, 52), 4, seed) for seed in (0, 1))

    assert [labels[row] for row in first] == ["a"] * 4 + ["b"] * 4 + ["c"] * 2
    assert first.min() >= 5
    assert first.tolist() != second.tolist()


@pytest.mark.parametrize(("way", "layers"), [(few_labels.WAYS[0], 0), (few_labels.WAYS[1], 5)])
def test_a_training_has_as_many_steps_as_asked_in_one_epoch(way, layers):
    config = steps_of(ClassifierConfig(target="label"), way, 9)

    training = config.training
    assert training.trained_layers == layers
    assert training.max_epochs * training.examples_per_epoch == 9 * 64
    assert config.least_steps == 9  # of however few texts


@pytest.fixture
def command(tiny_bert, shop, tmp_path, monkeypatch):
    """Runs the command on titles and their colours."""
    titles = list(shop.titles)
    pl.DataFrame(
        {
            "text": titles,
            "label": [title.split()[0] for title in titles],
            "split": ["test" if row % 4 == 0 else "train" for row in range(240)],
        }
    ).write_parquet(tmp_path / "colours.parquet")
    training = {"batch_size": 16, "trained_layers": 1, "new_learning_rate": 0.01}
    options = {"backbone": str(tiny_bert), "target": "label", "text": "text", "training": training}
    (tmp_path / "classifier.yaml").write_text(yaml.safe_dump(options))
    command = ["few_labels", f"--config={tmp_path}", f"--dataset={tmp_path / 'colours.parquet'}"]
    command += [f"--pretrained={tiny_bert}", "--shots=[3]", "--draws=1", "--steps=4"]
    command += [f"--artifacts={tmp_path}", f"--reports={tmp_path}"]

    def run(*given):
        monkeypatch.setattr("sys.argv", [*command, *given])
        few_labels.main()

    return run


def test_the_command_compares_two_backbones(command, tmp_path):
    command()

    written = json.loads((tmp_path / "colours" / "few_labels.json").read_text())
    assert list(written) == ["3 a label, heads alone", "3 a label, fine-tuned"]
    for figures in written.values():
        assert figures["backbone"]["value"] > 2 / 12
        assert figures["pre-trained backbone − backbone"]["value"] == 0  # it is the same one


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("--pretrained=nope", "backbone must be a local folder"),
        ("--draws=0", "draws be at least 1"),
        ("--shots=[0]", "examples of a label must be at least 1, got 0"),
        ("--target=colour", "target must be a column of the table, got 'colour'"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_trained(command, capsys, tmp_path, given, said):
    with pytest.raises(SystemExit) as ended:
        command(given)

    assert ended.value.code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "colours" / "training").exists()


@pytest.fixture
def coloured(shop):
    """Function that returns a table of titles; every fourth is of the test."""

    def coloured(labels):
        splits = np.where(np.arange(240) % 4 == 0, TEST, TRAIN).astype(np.uint8)
        return LabelledTexts(
            texts=list(shop.titles),
            targets={"label": labels},
            splits=splits,
            text_columns=("text",),
        )

    return coloured


@pytest.fixture
def config(tiny_bert, monkeypatch):
    monkeypatch.setattr("benchmarks.language.compressed.HEAD_STEPS", 2)
    plain = ClassifierConfig(target="label", text="text", backbone=str(tiny_bert))
    return steps_of(plain, few_labels.WAYS[0], 2)


def test_other_labels_of_the_same_texts_are_learnt_anew(config, coloured, shop, tmp_path):
    colours = [title.split()[0] for title in shop.titles]

    for labels in (colours, colours[1:] + colours[:1]):
        few_labels.correct(config, coloured(labels), tmp_path, 3, 0)
        heads = FrozenHeads.of(config, coloured(labels), tmp_path, 3)
        heads.hits(np.eye(len(heads.table), 32, dtype=np.float32))

    for kind in ("few-labels", "frozen"):
        assert len(list((tmp_path / "training").glob(f"{kind}-*/checkpoints"))) == 2


def test_no_text_of_the_test_is_learnt(config, coloured, shop, tmp_path, monkeypatch):
    table, learnt = coloured([title.split()[0] for title in shop.titles]), []

    def fit(config, data, rows, *given, **more):
        learnt.append(rows)
        return fit_classifier(config, data, rows, *given, **more)

    monkeypatch.setattr("classifier.fit.fit_classifier", fit)

    few_labels.correct(config, table, tmp_path, 3, 0)
    heads = FrozenHeads.of(config, table, tmp_path, 0)

    assert len(learnt[0]) == 3 * 12
    assert (learnt[0] % 4 > 0).all()
    assert list(heads.table.texts[heads.learnt :]) == list(table.texts[::4])
    assert set(heads.table.texts[: heads.learnt]) == set(table.texts) - set(table.texts[::4])
