import json
from importlib.util import find_spec

import numpy as np
import polars as pl
import pytest
import torch
import yaml

from backbone.batch import pad
from backbone.encode_texts import encode_texts
from backbone.load import load_bert, load_tokenizer
from benchmarks.language import compression
from benchmarks.language.encoders import (
    Encoder,
    inputs_of,
    median_seconds,
    states_of_texts,
    torch_encoder,
)
from benchmarks.language.fewer_heads import head_importance, without_heads

PIECES = np.arange(9, dtype=np.int32)
BATCH = pad([np.array([1, 5, 9, 2], np.int32), np.array([1, 7, 2], np.int32)], 0)


@pytest.fixture(scope="module")
def bert(tiny_bert):
    return load_bert(str(tiny_bert))


def test_an_encoder_gives_the_states_that_the_stages_read(bert, tiny_bert, shop):
    texts, tokenizer = list(shop.titles)[:20], load_tokenizer(str(tiny_bert))
    inputs, pad_id = inputs_of(texts, tokenizer, 8)
    expected = encode_texts(load_bert(str(tiny_bert)), texts, tokenizer, max_tokens=8)

    states = states_of_texts(torch_encoder(bert), inputs, pad_id, "tiny")

    np.testing.assert_allclose(states, expected, atol=1e-2)


def test_all_heads_are_the_whole_backbone(bert):
    every = without_heads(bert, 2, BATCH)

    for one, other in zip(every.parameters(), bert.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_head_that_changes_states_less_is_removed(bert):
    with torch.no_grad():
        quiet = load_bert(bert.name_or_path)
        quiet.encoder.layer[0].attention.output.dense.weight[:, 16:] = 0.0  # the second head
    importance = head_importance(quiet, BATCH)
    pruned = without_heads(quiet, 1, BATCH)
    whole, one_less = (torch_encoder(each, dtype=torch.float32) for each in (quiet, pruned))

    assert importance[0, 1].abs() < 1e-6 < importance[0, 0]
    assert pruned.encoder.layer[0].attention.self.query.out_features == 32  # of the whole
    assert pruned.encoder.layer[0].attention.self.query.weight.shape == (16, 32)
    assert torch.equal(
        pruned.encoder.layer[0].attention.self.value.weight,
        quiet.encoder.layer[0].attention.self.value.weight[:16],
    )
    assert whole.read(BATCH).shape == one_less.read(BATCH).shape == (2, 32)
    with pytest.raises(ValueError, match=r"heads must be in \[1, 2\], got 3"):
        without_heads(bert, 3, BATCH)


def test_encoders_take_turns():
    order = []

    def named(name):
        return Encoder(read=lambda _: order.append(name) or torch.zeros(1), megabytes=0)

    taken = median_seconds({"a": named("a"), "b": named("b")}, PIECES, 1, 4, rounds=3)

    assert order == ["a", "b"] * 5
    assert taken.keys() == {"a", "b"}


@pytest.mark.slow
@pytest.mark.training
def test_the_command_measures_smaller_backbones(tiny_bert, shop, tmp_path, monkeypatch):
    titles = list(shop.titles)
    pl.DataFrame(
        {
            "text": titles,
            "label": [title.split()[0] for title in titles],
            "split": ["test" if row % 4 == 0 else "train" for row in range(240)],
        }
    ).write_parquet(tmp_path / "colours.parquet")
    options = {"backbone": str(tiny_bert), "target": "label", "text": "text"}
    options["training"] = {"new_learning_rate": 0.01}
    (tmp_path / "classifier.yaml").write_text(yaml.safe_dump(options))
    monkeypatch.setattr("benchmarks.language.compressed.HEAD_STEPS", 8)
    command = ["compression", f"--config={tmp_path}", f"--dataset={tmp_path / 'colours.parquet'}"]
    command += ["--layers=[1]", "--heads=1", "--shots=8", "--rounds=1"]
    command += [f"--backbones.same={tiny_bert}"]
    command += [f"--artifacts={tmp_path}", f"--reports={tmp_path}"]
    monkeypatch.setattr("sys.argv", command)

    compression.main()

    figures = json.loads((tmp_path / "colours" / "compression.json").read_text())
    in_int8 = ["whole, int8", "same, int8"] if find_spec("nncf") else []
    assert list(figures) == [
        "whole",
        "whole, fp32",
        "lowest 1",
        "spread 1",
        "1 heads",
        "same",
        *in_int8,
    ]
    assert figures["whole"]["accuracy"]["value"] > 2 / 12
    assert figures["same"]["difference"] == {"value": 0, "low": 0, "high": 0}
    assert figures["same"]["cosine"] == pytest.approx(1, abs=1e-4)
    assert figures["lowest 1"]["megabytes"] < figures["whole"]["megabytes"]
    assert figures["spread 1"]["texts_a_second"] > 0
    picture = (tmp_path / "colours" / "compression.svg").read_text()
    assert picture.count("<circle") == len(figures) - 1  # without fp32
    assert ">lowest 1</text>" in picture
