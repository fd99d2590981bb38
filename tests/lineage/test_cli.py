import logging
from dataclasses import dataclass

import pytest

from lineage.cli import is_ours_or_serious, reported_errors, run
from lineage.manifest import MissingArtifactError, read_manifest, writing

runs = []


@dataclass(frozen=True, kw_only=True)
class Config:
    size: int = 1


def build(config, root, folder):
    runs.append(config.size)
    (folder / "out.txt").write_text("x" * config.size)
    return {"size": config.size}


@pytest.fixture
def root(tmp_path):
    runs.clear()
    with writing(tmp_path / "data", stage="data", config={}, inputs={}) as (folder, _):
        (folder / "a.txt").write_text("a")
    return tmp_path


def make_towers(root, config):
    run("trial/towers", config, root, build)


def test_a_stage_is_made_once_for_the_same_configuration(root):
    make_towers(root, Config())
    make_towers(root, Config())

    assert runs == [1]
    assert read_manifest(root / "trial/towers", "trial/towers").facts == {"size": 1}


def test_a_changed_configuration_or_input_makes_a_stage_again(root):
    make_towers(root, Config())
    make_towers(root, Config(size=2))
    with writing(root / "data", stage="data", config={"new": 1}, inputs={}) as (folder, _):
        (folder / "a.txt").write_text("a")
    make_towers(root, Config(size=2))

    assert runs == [1, 2, 2]


def test_a_damaged_stage_is_made_again(root):
    make_towers(root, Config())
    (root / "trial/towers" / "out.txt").write_text("y")
    make_towers(root, Config())

    assert runs == [1, 1]


@pytest.mark.parametrize("fails", [True, False])
def test_checkpoints_are_deleted_only_when_the_stage_is_finished(root, monkeypatch, fails):
    checkpoints = root / "training" / "trial" / "towers-0" / "checkpoints"
    checkpoints.mkdir(parents=True)
    if fails:
        monkeypatch.setattr("lineage.cli.writing", fail)
        with pytest.raises(KeyError):
            make_towers(root, Config())
    else:
        make_towers(root, Config())

    assert checkpoints.is_dir() == fails


def fail(*_, **__):
    raise KeyError("killed")


def test_a_missing_input_names_the_command_that_makes_it(root):
    with pytest.raises(MissingArtifactError, match="make trial DATASET="):
        run("towers", Config(), root, build)


def test_a_users_mistake_exits_with_status_2_and_one_message(capsys):
    with pytest.raises(SystemExit) as stop, reported_errors():
        raise ValueError("k must be positive")

    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: k must be positive\n"


def test_a_bug_keeps_its_traceback():
    with pytest.raises(KeyError), reported_errors():
        raise KeyError("bug")


def test_other_libraries_log_only_warnings_and_errors():
    def record(name, level):
        return logging.LogRecord(name, level, "", 0, "", (), None)

    assert is_ours_or_serious(record("towers.train", logging.INFO))
    assert not is_ours_or_serious(record("pytorch_lightning.x", logging.INFO))
    assert is_ours_or_serious(record("pytorch_lightning.x", logging.WARNING))
