import json
from dataclasses import asdict

import polars as pl
import pytest

from benchmarks.language.modes import MODES, OF_SHOPS, OF_TEXTS, Run, few_labels, write
from classifier.config import ClassifierConfig
from lineage.beside import asked
from lineage.stages import CLASSIFIER
from towers.config import TowersConfig


@pytest.fixture
def table():
    rows = [
        {"text": f"{label} {number}", "label": label, "split": "test" if number < 5 else "train"}
        for label in ("red", "blue")
        for number in range(45)
    ]
    return pl.DataFrame(rows)


@pytest.mark.parametrize(("most", "learnt"), [(7, 7), (None, 36)])
def test_each_label_has_few_training_texts_and_all_others_stay(table, most, learnt):
    counts = few_labels(table, "label", "text", most).group_by("label", "split").len()

    found = {(label, split): size for label, split, size in counts.iter_rows()}
    for label in ("red", "blue"):
        assert found[label, "train"] == learnt
        assert found[label, "valid"] == 4
        assert found[label, "test"] == 5


def test_fewer_labels_are_validated_on_the_same_texts(table):
    few, all_ = (few_labels(table, "label", "text", most) for most in (3, None))

    same = pl.col("split") == "valid"
    assert few.filter(same).equals(all_.filter(same))


@pytest.mark.parametrize("mode", list(MODES | OF_TEXTS))
def test_a_modes_options_are_those_of_the_classifier(mode):
    given = ["--dataset", "x", "--target", "label", *(MODES | OF_TEXTS)[mode]]

    asked(CLASSIFIER, ClassifierConfig, given, more="", dataset="", commands=())


def test_modes_of_towers_are_options_of_their_training():
    added = [options for given in (MODES | OF_SHOPS).values() for options in given]

    known = asdict(TowersConfig())
    for name in (option.removeprefix("--") for option in added if option.startswith("--")):
        group, _, rest = name.partition(".")
        assert rest.split(".")[0] in known[group] if rest else name in known


def test_the_page_has_every_mode_and_figure(tmp_path):
    runs = [
        Run(mode="layers", valid=0.9, parameters=9_000_000, seconds=90, mib=1800, test=0.91),
        Run(mode="lora", valid=0.89, parameters=300_000, seconds=80, mib=1900, reworded=0.87),
    ]

    write(tmp_path, runs, "the command")

    page = (tmp_path / "modes.html").read_text()
    assert all(said in page for said in ("lora", "300,000", "0.9100", "0.8700", "the command"))
    assert len(json.loads((tmp_path / "modes.json").read_text())["modes"]) == 2
