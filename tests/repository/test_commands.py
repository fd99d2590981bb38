"""Every command that the repository mentions exists and prints its help quickly."""

import importlib.util
import json
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
HELPS = """
import io, json, os, runpy, sys
import jsonargparse, numpy, rich.console, scipy.sparse, yaml  # most commands load them

def help_of(command):
    sys.argv, sys.stdout, status = [command, "--help"], io.StringIO(), None
    try:
        runpy.run_module(command, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        status = end.code
    return status, sys.stdout.getvalue(), sorted(sys.modules)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        try:
            print(json.dumps(help_of(line.strip())), file=sys.__stdout__, flush=True)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    print("null", flush=True)  # the answer of a child that failed
"""
"""Forks for every command that it reads, so that what they share is loaded only once."""


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


@pytest.fixture(scope="module")
def help_of():
    """Function that returns a command's status, its help and the names of all loaded modules."""
    with subprocess.Popen(
        [sys.executable, "-c", HELPS],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
    ) as process:

        def help_of(command):
            process.stdin.write(f"{command}\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            assert answer is not None
            assert process.stdout.readline() == "null\n"
            return answer

        yield help_of
        process.stdin.close()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_the_command_and_loads_nothing_slow(command, help_of):
    status, said, loaded = help_of(command)

    assert status == 0
    assert said.split()[:4] == ["usage:", "python", "-m", command]
    assert set(loaded).isdisjoint(SLOW_TO_LOAD)
