import json
from dataclasses import asdict

import polars as pl
import pytest
import yaml

from benchmarks.language import modes
from benchmarks.language.modes import MODES, OF_SHOPS, OF_TEXTS, recorded
from benchmarks.language.modes_page import Run, write
from classifier.__main__ import main as classify
from classifier.config import ClassifierConfig
from lineage.beside import asked
from lineage.stages import CLASSIFIER
from tests.classifier.conftest import make_items
from towers.config import TowersConfig


@pytest.fixture
def command(tmp_path, tiny_bert, monkeypatch):
    """Runs the command on a table without a split; counts the trainings, which it runs itself."""
    few = {"max_epochs": 1, "batch_size": 64, "learning_rate": 3e-3, "trained_layers": 1}
    options = {"backbone": str(tiny_bert), "least_steps": 2, "training": few}
    (tmp_path / "classifier.yaml").write_text(yaml.safe_dump(options))
    colour = pl.col("title").str.split(" ").list.first().alias("the colour")
    folder = tmp_path / "my data"
    folder.mkdir()
    make_items().select(colour, title="title").write_csv(folder / "titles 1.csv")
    trained = []

    def timed(module, config, given):
        assert module == "classifier"
        trained.append(given)
        classify(["--config", config, *given])
        return {"seconds": float(len(trained)), "mib": 1.0}

    monkeypatch.setattr(modes, "_timed", timed)

    def run(*given):
        what = ["--dataset", str(folder / "titles 1.csv"), "--config", str(tmp_path)]
        what += ["--target", "the colour", "--text", "title", "--output", str(tmp_path / "out")]
        monkeypatch.setattr("sys.argv", ["modes", *what, *given])
        modes.main()
        return json.loads((tmp_path / "out" / "modes.json").read_text())["modes"], len(trained)

    return run


@pytest.mark.training
def test_a_mode_of_a_table_without_a_split_is_measured_once(command):
    first, _ = command("--modes", "heads", "--labels", "8")
    again, trained = command("--modes", "heads", "--labels", "8")
    fewer, more = command("--modes", "heads", "--labels", "2")

    assert 0 < first[0]["typed"] < 1.01
    assert 0 < first[0]["test"] < 1.01
    assert (again, trained) == (first, 1)  # not the cost of a training that is up to date
    assert (fewer[0]["seconds"], more) == (2, 2)


def test_an_interrupted_mode_is_measured_from_an_empty_folder(tmp_path):
    root, run = tmp_path / "lora", Run(mode="lora", valid=1, parameters=2, seconds=3, mib=4)

    def killed():
        root.mkdir()
        (root / "last.ckpt").touch()
        raise KeyboardInterrupt

    def measured():
        assert not root.exists()
        return run

    with pytest.raises(KeyboardInterrupt):
        recorded(root, ["data 1"], killed)

    assert recorded(root, ["data 1"], measured) == run
    assert recorded(root, ["data 1"], killed) == run
    assert recorded(root, ["data 2"], measured) == run


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--target", "colour"], "name 'the colour' if it is meant"),
        (["--dataset", "nope.csv"], "must be a folder with items or a file, got none"),
        (["--labels", "0"], "examples of a label must be at least 1, got 0"),
        (["--shop", "nope"], "not allowed with argument --dataset"),
        (["--modes", "lara"], "modes must be among layers, "),
    ],
)
def test_a_mistake_is_one_line(command, capsys, given, said):
    with pytest.raises(SystemExit) as ended:
        command(*given)

    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_shop_without_data_is_told_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["modes", f"--shop={tmp_path}", f"--output={tmp_path}"])

    with pytest.raises(SystemExit):
        modes.main()

    assert "`make data DATASET=" in capsys.readouterr().err


@pytest.mark.parametrize("mode", list(MODES | OF_TEXTS))
def test_a_modes_options_are_those_of_the_classifier(mode):
    given = ["--dataset", "x", "--target", "label", *(MODES | OF_TEXTS)[mode]]

    asked(CLASSIFIER, ClassifierConfig, given, dataset="")


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
