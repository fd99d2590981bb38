"""Every command that the repository mentions exists and prints its help quickly."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lineage.cli import PACKAGES

ROOT = Path(__file__).parents[2]
MENTIONED = re.compile(r"(?:\$\(RUN\)|python) -m ([a-z_]+(?:\.[a-z_]+)*)")
CODE = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
SLOW_TO_LOAD = ("peft", "pytorch_lightning", "torch", "transformers")


def module(path: Path) -> str:
    name = path.relative_to(ROOT).with_suffix("").as_posix()
    return name.removesuffix("/__main__").replace("/", ".")


COMMANDS = [module(path) for path in CODE if 'if __name__ == "__main__"' in path.read_text()]


def mentioned() -> set[str]:
    """Modules after `python -m` in the Makefile, the README, `deploy` and the code."""
    files = [ROOT / "Makefile", ROOT / "README.md", *(ROOT / "deploy").iterdir(), *CODE]
    return {name for file in files for name in MENTIONED.findall(file.read_text())}


def test_every_mentioned_module_can_be_run():
    modules = mentioned()

    assert {"towers", "towers.trial", "pytest", "serving"} <= modules
    for name in modules:
        spec = importlib.util.find_spec(name)
        assert spec is not None, name
        if spec.submodule_search_locations is not None:
            assert importlib.util.find_spec(f"{name}.__main__") is not None, name


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_the_command_and_loads_nothing_slow(command):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", command, "--help"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
    )

    assert done.stdout.startswith(f"usage: python -m {command} ")
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert loaded.isdisjoint(SLOW_TO_LOAD)
