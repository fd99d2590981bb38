"""`make install` finds a Python, takes torch without CUDA, and trusts no half-made `.venv`."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ["awk", "basename", "cat", "chmod", "cp", "env", "grep", "make", "mkdir", "rm", "sed", "sh"]
TOOLS += ["test", "touch"]
PYTHON = """#!/bin/sh
# A Python of version {version}: it answers what the script asks, and logs what pip is told.
case $1 in
    -c) echo {version} ;;
    -m) case $2 in
        venv)
            for folder; do true; done
            echo "{version} $*" >> "$LOG"
            rm -rf "$folder" && mkdir -p "$folder/bin" && cp "$0" "$folder/bin/python"
            echo "command = python -m venv --clear $PWD/$folder" > "$folder/pyvenv.cfg" ;;
        pip)
            echo "$*" >> "$LOG"
            case "$*" in *"${{FAILS:-nothing}}"*) exit 1 ;; esac ;;
    esac ;;
esac
"""
SHIM = "#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n"


class Checkout:
    """A copy of the files that installing reads, in a path with a space, and a PATH of its own."""

    def __init__(self, folder):
        self.folder, self.bin, self.log = folder / "a b", folder / "bin", folder / "log"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        for name in ("Makefile", "pyproject.toml", "constraints.txt", "packaging", "configs"):
            source, target = ROOT / name, self.folder / name
            target.parent.mkdir(exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copy)(source, target)

    def has(self, name, version):
        """Put a Python into PATH; without a version it is a shim that does not run."""
        path = self.bin / name
        path.write_text(PYTHON.format(version=version) if version else SHIM)
        path.chmod(0o755)

    def make(self, *arguments, fails=None):
        """Run make; return its exit status, its messages, and what Python was told."""
        self.log.write_text("")
        variables = {"PATH": str(self.bin), "LOG": str(self.log)}
        done = subprocess.run(
            ["make", *arguments],
            cwd=self.folder,
            env=variables | ({"FAILS": fails} if fails else {}),
            capture_output=True,
            text=True,
            check=False,
        )
        return done, self.log.read_text().splitlines()


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


def test_the_first_python_that_runs_and_fits_is_taken(checkout):
    checkout.has("python3.11", None)
    checkout.has("python3.12", "3.12")
    checkout.has("python3.13", "3.13")

    done, told = checkout.make("install")

    assert (done.returncode, done.stderr) == (0, "")
    assert told[0] == "3.12 -m venv --clear .venv"


def test_without_a_fitting_python_the_error_says_what_was_looked_for(checkout):
    checkout.has("python3", "3.9")

    done, told = checkout.make("install")

    first = done.stderr.splitlines()[0]
    assert (
        "looked for python3.11 python3.12 python3.13 python3, found python3 of version 3.9" in first
    )
    assert "make install PYTHON=/path/to/python3.11" in first
    assert done.returncode
    assert not told
    assert not (checkout.folder / ".venv").exists()


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("3.10", "PYTHON must be Python 3.11 or later, got python3.10 of version 3.10;"),
        ("2.7", "PYTHON must be Python 3.11 or later, got python3.10 of version 2.7;"),
        (None, "PYTHON must be a Python that runs, got python3.10;"),
    ],
)
def test_a_python_that_does_not_fit_is_refused_before_anything_is_created(checkout, version, said):
    checkout.has("python3.11", "3.11")
    checkout.has("python3.10", version)

    done, told = checkout.make("install", "PYTHON=python3.10")

    assert done.stderr.splitlines()[0].startswith(said)
    assert done.returncode
    assert not told
    assert not (checkout.folder / ".venv").exists()


def test_torch_without_cuda_is_installed_before_what_requires_it(checkout):
    checkout.has("python3.13", "3.13")

    _, (_, torch, rest) = checkout.make("install")

    assert "--no-deps --no-index" in torch
    assert torch.endswith("--find-links https://download.pytorch.org/whl/cpu/torch/ torch")
    assert rest.endswith("-e .[cpu,dev,bench,milvus-lite]")
    assert all("-c constraints.txt" in command for command in (torch, rest))


def test_a_box_with_a_gpu_gets_the_torch_of_the_index(checkout):
    checkout.has("python3.11", "3.11")
    checkout.make("install")

    _, told = checkout.make("install", "EXTRA=gpu,milvus")

    created, rest = told
    assert created.endswith("-m venv --clear .venv")
    assert rest.endswith("-e .[gpu,milvus,dev,bench]")


def test_where_no_torch_without_cuda_can_be_fetched_the_index_has_to_do(checkout):
    checkout.has("python3.11", "3.11")

    done, told = checkout.make("install", "TORCH_WHEELS=/nowhere", fails="--find-links")

    assert done.returncode == 0
    assert "no torch without CUDA could be fetched from /nowhere" in done.stderr
    assert told[-1].endswith("-e .[cpu,dev,bench,milvus-lite]")
    assert (checkout.folder / ".venv" / "installed-cpu").exists()


def test_a_whole_environment_is_kept_and_brought_up_to_date(checkout):
    checkout.has("python3.12", "3.12")
    checkout.make("install")
    checkout.has("python3.11", "3.11")

    assert checkout.make("install")[1] == []
    later = (checkout.folder / ".venv" / "installed-cpu").stat().st_mtime + 10
    os.utime(checkout.folder / "constraints.txt", (later, later))
    _, told = checkout.make("install")
    assert len(told) == 2
    assert not any("-m venv" in command for command in told)


def interrupted(checkout):
    later = (checkout.folder / ".venv" / "installed-cpu").stat().st_mtime + 10
    os.utime(checkout.folder / "constraints.txt", (later, later))
    assert checkout.make("install", fails="-e .[cpu")[0].returncode
    os.utime(checkout.folder / "constraints.txt")


def moved(checkout):
    checkout.folder = checkout.folder.rename(checkout.folder.with_name("c d"))


def without_its_python(checkout):
    (checkout.folder / ".venv" / "bin" / "python").unlink()


@pytest.mark.parametrize("broken", [interrupted, moved, without_its_python])
def test_an_environment_that_is_not_whole_starts_anew(checkout, broken):
    checkout.has("python3.11", "3.11")
    checkout.make("install")

    broken(checkout)

    done, told = checkout.make("install")
    assert done.returncode == 0
    assert told[0] == "3.11 -m venv --clear .venv"
    assert checkout.make("install")[1] == []


def test_another_python_that_is_asked_for_starts_anew(checkout):
    checkout.has("python3.11", "3.11")
    checkout.has("python3.12", "3.12")
    checkout.make("install")

    _, told = checkout.make("install", "PYTHON=python3.12")

    assert told[0] == "3.12 -m venv --clear .venv"
    assert checkout.make("install", "PYTHON=python3.12")[1] == checkout.make("install")[1] == []


def test_paths_with_spaces_reach_the_commands_whole(checkout):
    checkout.has("python3.11", "3.11")
    config = checkout.folder / "my configs"
    config.mkdir()
    (config / "data.yaml").touch()

    done, _ = checkout.make(
        "--dry-run", "data", "bench", "publish", "upsert", "DATASET=/my shop/", "CONFIG=my configs",
        "RELEASES=my releases", "REPORTS=my reports", "FILE=my items.csv",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    for said in (
        "--config 'my configs/data.yaml' --dataset '/my shop/'",
        "--config 'configs/bench.yaml'",
        "--reports 'my reports'",
        "--artifacts 'artifacts/my shop'",
        "--releases 'my releases/my shop'",
        "upsert 'my items.csv'",
    ):
        assert said in done.stdout
