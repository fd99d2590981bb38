import json

import numpy as np
import polars as pl
import pytest
import yaml

from benchmarks.language import few_labels
from benchmarks.language.few import drawn
from benchmarks.language.few_labels import steps_of
from classifier.config import ClassifierConfig

pytestmark = pytest.mark.training


def test_each_label_has_as_many_examples_and_draws_differ():
    labels = ["a"] * 20 + ["b"] * 30 + ["c"] * 2

    first, second = (drawn(labels, np.arange(5, 52), 4, seed) for seed in (0, 1))

    assert [labels[row] for row in first] == ["a"] * 4 + ["b"] * 4 + ["c"] * 2
    assert first.min() >= 5
    assert first.tolist() != second.tolist()


def test_no_steps_leave_the_heads_alone_their_own():
    config = ClassifierConfig(target="label")

    heads, tuned = (steps_of(config, way, 5).training for way in few_labels.WAYS)

    assert (heads.trained_layers, tuned.trained_layers) == (0, 5)
    assert tuned.examples_per_epoch == 5 * 64
    assert steps_of(config, few_labels.WAYS[0], 0).training == heads


def test_the_command_compares_two_backbones(tiny_bert, shop, tmp_path, monkeypatch):
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
    monkeypatch.setattr("sys.argv", command)

    few_labels.main()

    written = json.loads((tmp_path / "colours" / "few_labels.json").read_text())
    assert list(written) == ["3 a label, heads alone", "3 a label, fine-tuned"]
    for figures in written.values():
        assert figures["backbone"]["value"] > 2 / 12
        assert figures["pre-trained backbone − backbone"]["value"] == 0  # it is the same one
