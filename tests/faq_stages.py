"""Fixtures of a small FAQ: its folder, its trained stages, and a release that answers from it."""

import shutil

import polars as pl
import pytest

from tests.conftest import COLOURS, THINGS

FORMS = ("{thing} {colour}", "a {colour} {thing}", "b {thing} {colour}", "{colour} {thing} a b")
SPLITS = ("train", "train", "valid", "test")
TEMPLATES = """
no_answer: "Nobody knows {question}."
intents:
  "light > red": "{entry} See {product} for {price}."
"""


def write_faq(folder, *, names=("entries", "entry_id"), templates=""):
    """Write 60 entries with four questions each, and two questions that no entry answers."""
    file, entry_id = names
    pairs = [(colour, thing) for colour in COLOURS for thing in THINGS[:5]]
    ids = [f"e{place}" for place in range(len(pairs))]
    entries = {
        entry_id: ids,
        "title": [f"{colour} {thing}" for colour, thing in pairs],
        "description": [f"The {thing} is {colour}." for colour, thing in pairs],
    }
    queries = [
        (f"q{place}-{form}", FORMS[form].format(colour=colour, thing=thing), SPLITS[form], one)
        for place, (one, (colour, thing)) in enumerate(zip(ids, pairs, strict=True))
        for form in range(len(FORMS))
    ]
    alone = [("x1", "a a", "valid"), ("x2", "b a", "test"), ("x3", "b b", "test")]
    asked = [*(row[:3] for row in queries), *alone]
    columns = dict(zip(("query_id", "query", "split"), zip(*asked, strict=True), strict=True))
    folder.mkdir(exist_ok=True)
    pl.DataFrame(entries).write_parquet(folder / f"{file}.parquet")
    pl.DataFrame({k: list(v) for k, v in columns.items()}).write_parquet(folder / "queries.parquet")
    labels = {"query_id": [row[0] for row in queries], entry_id: [row[3] for row in queries]}
    pl.DataFrame(labels).write_parquet(folder / "labels.parquet")
    if templates:
        (folder / "templates.yaml").write_text(templates)
    return folder


@pytest.fixture(scope="session")
def faq(made_once, tiny_bert):
    """Folder with `files`, the FAQ, and `stages`, its finished stages."""
    from backbone.config import TrainingConfig
    from dataset.config import DataConfig
    from dataset.prepare.build import build
    from dataset.prepare.sources import open_source
    from index import stage as index_stage
    from index.config import IndexConfig
    from lineage.cli import run
    from towers import train as towers_train
    from towers.config import TowersConfig

    def make(root):
        files, stages = write_faq(root / "files", templates=TEMPLATES), root / "stages"
        build(DataConfig(), open_source(str(files)), stages / "data")
        training = TrainingConfig(
            max_epochs=1, examples_per_epoch=64, batch_size=32, trained_layers=2
        )
        towers = TowersConfig(
            backbone=str(tiny_bert), dimension=16, widths=[8], searches=0, training=training
        )
        for stage, config, build_stage in (
            ("trial/towers", towers, towers_train.trial),
            ("trial/index", IndexConfig(), index_stage.trial),
            ("towers", towers, towers_train.train),
            ("index", IndexConfig(), index_stage.build),
        ):
            run(stage, config, stages, build_stage)

    return made_once("faq", make)


@pytest.fixture(scope="session")
def answering_stages(made_once, faq):
    """Folder with the `answers` stage of the FAQ, and `reports`."""
    from answers.__main__ import answer
    from answers.config import AnswersConfig

    def make(root):
        answer(AnswersConfig(), faq / "files", faq / "stages", (root, root / "reports"), "command")

    return made_once("answering", make)


@pytest.fixture(scope="session")
def answering_release(own_copy, classified_release, answering_stages):
    """Stages of the shop with a classifier of places and with the FAQ."""

    def make(root):
        shutil.copytree(classified_release, root)
        shutil.copytree(answering_stages / "answers", root / "answers")

    return own_copy("answering-shop", make)
