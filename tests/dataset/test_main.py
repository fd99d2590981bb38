import logging
import os

import pytest

from dataset.__main__ import main
from dataset.paths import dataset_name
from lineage.manifest import read_manifest


@pytest.fixture
def command(tmp_path):
    def run(dataset, *options):
        main(["--dataset", str(dataset), "--artifacts", str(tmp_path / "artifacts"), *options])

    return run


def test_the_stage_is_written_under_the_name_of_the_folder(command, make_folder, tmp_path, capsys):
    command(make_folder(name="garden"), "--token_budget", "7")

    manifest = read_manifest(tmp_path / "artifacts" / "garden" / "data", "data")
    assert manifest.config["token_budget"] == 7
    assert set(manifest.inputs) == {"items.parquet", "interactions.parquet"}
    assert "exact duplicate" in capsys.readouterr().err


def test_a_second_run_skips_a_stage_that_is_up_to_date(command, make_folder, caplog):
    caplog.set_level(logging.INFO)
    folder = make_folder()
    command(folder)
    assert "up to date" not in caplog.text

    command(folder)

    assert "data is up to date in" in caplog.text


def test_a_mistyped_check_is_answered_with_the_command(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["chek", "shop"])

    assert "write `python -m dataset check shop`" in capsys.readouterr().err


def test_bad_input_ends_with_status_2_and_one_message(command, make_folder, capsys):
    with pytest.raises(SystemExit, match="2"):
        command(make_folder({"item_id": ["a", "a", "b", "c"]}))

    error = capsys.readouterr().err
    assert "column 'item_id' must be unique" in error
    assert "Traceback" not in error


def test_an_invalid_option_ends_with_status_2(command, make_folder, capsys):
    with pytest.raises(SystemExit, match="2"):
        command(make_folder(), "--user_core", "0")

    assert "user_core must be at least 1, got 0" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["data", "leave-one-out/data", "ml-100k/data", "tiny/data"])
def test_every_shipped_configuration_runs(command, make_folder, pytestconfig, name):
    command(make_folder(), "--config", str(pytestconfig.rootpath / "configs" / f"{name}.yaml"))


@pytest.mark.parametrize(
    ("source", "name"),
    [("ml-100k", "ml-100k"), ("../data/games/", "games"), ("/srv/shop", "shop")],
)
def test_a_dataset_has_the_name_of_its_folder(source, name):
    assert dataset_name(source) == name


def test_the_current_folder_has_a_name_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert dataset_name(".") == tmp_path.name
    with pytest.raises(ValueError, match="must be a folder with a name"):
        dataset_name(os.sep)
