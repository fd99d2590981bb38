"""The pre-training stage on a shop whose users stay with one colour, and on a table of texts."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from backbone.config import TrainingConfig
from backbone.encode_texts import encode_texts
from backbone.load import load_bert, load_tokenizer
from dataset.arrays import save_dataset
from lineage.manifest import read_manifest, writing
from pretraining.__main__ import main, make
from pretraining.config import PretrainConfig
from pretraining.module import PretrainModule

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def config(tiny_bert):
    return PretrainConfig(
        backbone=str(tiny_bert),
        held_out=0.2,
        averaging=0.8,
        training=TrainingConfig(
            max_epochs=3,
            examples_per_epoch=512,
            batch_size=32,
            learning_rate=2e-3,
            trained_layers=2,
            schedule="constant",
        ),
    )


@pytest.fixture(scope="module")
def root(shop, tmp_path_factory):
    made = tmp_path_factory.mktemp("artifacts") / "shop"
    with writing(made / "data", stage="data", config={}, inputs={}) as (folder, _):
        save_dataset(folder, shop)
    return made


@pytest.fixture(scope="module")
def pretrained(config, root):
    """Folder of the backbone of a shop."""
    make(config, "shop", root)
    return root / "backbone"


def same_colour(folder, shop):
    """Mean cosine of texts of one colour, minus that of different colours."""
    read = encode_texts(
        load_bert(str(folder)), shop.titles, load_tokenizer(str(folder)), max_tokens=8
    )
    cosines, colours = read @ read.T, np.arange(240) // 20
    same = colours[:, None] == colours[None]
    return cosines[same].mean() - cosines[~same].mean()


def test_texts_that_are_bought_together_are_near_each_other(pretrained, tiny_bert, shop):
    assert same_colour(pretrained, shop) > same_colour(tiny_bert, shop) + 0.2


def test_the_manifest_names_data_and_held_out_figure(pretrained, root):
    manifest = read_manifest(pretrained, "backbone")

    assert manifest.inputs == {"data": read_manifest(root / "data", "data").fingerprint}
    assert manifest.facts["texts"] == 240
    assert 0 < manifest.facts["valid/mrr"] <= 1
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= manifest.files.keys()


def test_a_killed_training_goes_on_to_the_same_weights(config, root, pretrained, monkeypatch):
    copy = root.with_name("killed")
    (copy / "data").parent.mkdir()
    (copy / "data").symlink_to(root / "data")
    step, killed = PretrainModule.training_step, []

    def kill(self, batch, batch_idx):
        if self.global_step == 20:
            killed.append(True)
            raise KeyboardInterrupt
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(PretrainModule, "training_step", kill)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            make(config, "shop", copy)
    make(config, "shop", copy)

    one, other = (load_bert(str(path)).state_dict() for path in (pretrained, copy / "backbone"))
    assert killed
    for name, weights in one.items():
        assert torch.equal(weights, other[name]), name


def test_a_table_is_learnt_by_its_training_texts_alone(config, shop, tmp_path, caplog):
    titles = list(shop.titles)
    split = ["test" if row % 4 == 0 else "train" for row in range(240)]
    pl.DataFrame({"title": titles, "split": split}).write_parquet(tmp_path / "texts.parquet")
    few = replace(config, text="title", training=replace(config.training, max_epochs=1))

    make(few, str(tmp_path / "texts.parquet"), tmp_path / "out")

    facts = read_manifest(tmp_path / "out" / "backbone", "backbone").facts
    assert facts["texts"] == 180
    assert facts["purchases"] == 0
    assert 0 <= facts["valid/words"] <= 1
    assert "no column" not in caplog.text


def test_a_mistyped_column_is_one_line(tmp_path, capsys):
    pl.DataFrame({"title": ["red mug", "blue mug"]}).write_parquet(tmp_path / "texts.parquet")

    with pytest.raises(SystemExit) as ended:
        main(["--dataset", str(tmp_path), "--text", "titel", "--artifacts", str(tmp_path / "a")])

    assert ended.value.code == 2
    assert "name 'title' if it is meant" in capsys.readouterr().err


def test_a_table_whose_column_is_not_named_is_one_line(tmp_path, capsys):
    (tmp_path / "texts.csv").write_text("title\nred mug\n")

    with pytest.raises(SystemExit) as ended:
        main(["--dataset", str(tmp_path / "texts.csv"), "--artifacts", str(tmp_path / "a")])

    assert ended.value.code == 2
    assert "add --text=column, as TEXT=column of `make`" in capsys.readouterr().err


def test_options_are_read_from_a_folder_of_files(tmp_path, capsys):
    (tmp_path / "pretrain.yaml").write_text("window: 0\n")

    with pytest.raises(SystemExit):
        main(["--config", str(tmp_path), "--dataset", "shop"])

    assert "window must be at least 1, got 0" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--dataset", "shop", "--reports", "reports"])
    assert "got --reports" in capsys.readouterr().err  # it writes none


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "window must be at least 1"),
        ({"masked": 1.0}, "masked must be in"),
        ({"words": -1.0}, "words must not be negative"),
        ({"training": TrainingConfig(devices=2)}, "devices must be 1"),
        ({"training": TrainingConfig(trained_layers=0)}, "at least 1, got 0"),
        ({"training": TrainingConfig(adversarial="fgm")}, "adversarial must be none"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        PretrainConfig(**options)
