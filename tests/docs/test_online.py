"""The code of the page about experiments runs as it stands there."""

import re
from pathlib import Path

import pytest
import yaml

from online.experiments.experiment import read_experiments

PAGE = (Path(__file__).parents[2] / "docs" / "online.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_examples_run(capsys):
    code = "\n".join(blocks("python"))

    names = {}
    exec(compile(code, "docs/online.md", "exec"), names)

    said = capsys.readouterr().out
    assert said.startswith("better ")
    assert "answers must" in said.splitlines()[-1] or "must have clicks" in said.splitlines()[-1]
    assert names["days"] == pytest.approx(10, abs=5)


def test_the_file_of_experiments_is_read(tmp_path):
    (file,) = blocks("yaml")
    (tmp_path / "experiments.yaml").write_text(file)

    found = read_experiments(tmp_path / "experiments.yaml")

    assert [each.name for each in found.experiments] == ["ranker-2"]
    assert yaml.safe_load(file)["key"] == found.key
