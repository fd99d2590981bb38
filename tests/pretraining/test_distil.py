"""The distillation stage on a table, with a teacher that tells colours apart."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from backbone.config import TrainingConfig
from backbone.encode_texts import encode_texts
from backbone.load import load_bert, load_tokenizer, save_backbone
from dataset.searches import NO_SEARCH, Searches
from lineage.manifest import read_manifest
from pretraining.config import DistilConfig
from pretraining.distil import main, make
from pretraining.distillation import fit_student, student_of
from pretraining.fitting import exported
from pretraining.source import Source
from tests.tiny_backbones import LINES, save_tiny

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def table(shop, tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "titles.parquet"
    split = ["test" if row % 4 == 0 else "train" for row in range(240)]
    pl.DataFrame({"title": list(shop.titles), "split": split}).write_parquet(path)
    return path


@pytest.fixture(scope="module")
def config(tiny_bert):
    return DistilConfig(
        backbone=str(tiny_bert),
        text="title",
        layers=1,
        held_out=0.2,
        averaging=0.8,
        training=TrainingConfig(max_epochs=8, batch_size=16, learning_rate=5e-3),
    )


@pytest.fixture(scope="module")
def student(config, table, tmp_path_factory):
    """Folder of a student of one layer."""
    root = tmp_path_factory.mktemp("artifacts") / "titles"
    make(config, str(table), root)
    return root / "distilled"


def states(bert, folder, texts):
    return encode_texts(bert, texts, load_tokenizer(str(folder)), max_tokens=8)


def test_a_student_gives_the_teachers_states_of_texts_that_it_has_not_seen(
    student, tiny_bert, shop
):
    unseen = list(shop.titles)[::4]
    wanted = states(load_bert(str(tiny_bert)), tiny_bert, unseen)
    learnt = states(load_bert(str(student)), student, unseen)
    pruned = states(student_of(str(tiny_bert), 1), tiny_bert, unseen)

    missed, missed_without = (1 - (one * wanted).sum(axis=1).mean() for one in (learnt, pruned))

    assert missed < 0.5 * missed_without


def test_a_student_has_the_teachers_words_and_its_own_layers(student, tiny_bert):
    teacher, learnt = load_bert(str(tiny_bert)), load_bert(str(student))
    manifest = read_manifest(student, "distilled")

    assert learnt.config.num_hidden_layers == 1
    assert torch.equal(learnt.get_input_embeddings().weight, teacher.get_input_embeddings().weight)
    assert manifest.facts["texts"] == 180
    assert 0.5 < manifest.facts["valid/cosine"] <= 1


def test_layers_of_a_student_are_spread_over_the_teachers(tmp_path):
    from tests.conftest import save_bert

    save_bert(tmp_path, layers=6, hidden=32, heads=2)
    teacher = load_bert(str(tmp_path)).encoder.layer

    for layers, kept in ((6, range(6)), (3, (0, 2, 5)), (2, (0, 5)), (1, (0,))):
        student = student_of(str(tmp_path), layers).encoder.layer
        assert [
            next(
                number
                for number, other in enumerate(teacher)
                if torch.equal(layer.output.dense.weight, other.output.dense.weight)
            )
            for layer in student
        ] == list(kept)


@pytest.mark.parametrize("kind", ["gpt2", "albert", "modernbert"])
def test_a_student_of_another_kind_is_saved_and_read(kind, tmp_path):
    teacher = save_tiny(tmp_path / kind, kind)
    training = TrainingConfig(max_epochs=1, batch_size=64, learning_rate=1e-3)
    config = DistilConfig(backbone=str(teacher), layers=1, training=training)

    module, _ = fit_student(config, LINES, tmp_path / "training")
    save_backbone(tmp_path / "student", *exported(module, config))

    read = load_bert(str(tmp_path / "student"))
    assert read.config.num_hidden_layers == 1
    np.testing.assert_allclose(
        states(read, teacher, LINES), states(module.average.bert, teacher, LINES), atol=1e-2
    )


def test_a_shops_searches_are_texts_of_their_own(shop):
    of = np.full(len(shop.items), NO_SEARCH, np.int32)
    of[np.flatnonzero(shop.splits == 0)[:2]] = [1, 0]
    searches = Searches(
        texts=["a red thing", shop.texts[0], "only in the test"],
        of=of,
        relevance=np.ones(len(of), np.float32),
    )

    source = Source.of_shop(replace(shop, searches=searches), window=1, searches=True)

    assert sorted(set(source.texts) - set(shop.texts)) == ["a red thing"]
    assert len(source.texts) == len(set(source.texts)) == 241
    assert len(Source.of_shop(shop, window=1, searches=True).texts) == 240


def test_more_layers_than_the_teachers_are_one_line(table, tiny_bert, tmp_path, capsys):
    options = ["--dataset", str(table), "--text=title", f"--backbone={tiny_bert}", "--layers=3"]

    with pytest.raises(SystemExit) as ended:
        main([*options, "--artifacts", str(tmp_path)])

    assert ended.value.code == 2
    assert "layers must be in [1, 2], got 3" in capsys.readouterr().err
    assert not (tmp_path / "titles" / "distilled").exists()


def test_options_out_of_range_are_refused():
    with pytest.raises(ValueError, match="layers must be at least 1"):
        DistilConfig(layers=0)
    with pytest.raises(ValueError, match="held_out must be in"):
        DistilConfig(held_out=1.0)
