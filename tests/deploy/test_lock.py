"""The image's lock: complete, hashed, and what `constraints.txt` and `pyproject.toml` say."""

import re
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = ("cpu", "postgresql")
"""Extras that the image installs"""


def pinned(path):
    """Version of each distribution of a file, by canonical name."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", path.read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


CONSTRAINTS = pinned(ROOT / "constraints.txt")
LOCKS = {name: ROOT / "deploy" / name for name in ("requirements.lock", "build.lock")}
LOCK = pinned(LOCKS["requirements.lock"])


def wanted():
    """Requirements of the image that the project itself states."""
    project = PROJECT["project"]
    extras = [line for extra in EXTRAS for line in project["optional-dependencies"][extra]]
    return [Requirement(line) for line in project["dependencies"] + extras]


def required_by(requirement):
    """What an installed distribution requires, with the extras that are asked for."""
    try:
        lines = requires(requirement.name) or []
    except PackageNotFoundError:
        return []
    environments = [{"extra": extra} for extra in ("", *requirement.extras)]
    found = [Requirement(line) for line in lines]
    return [
        one
        for one in found
        if one.marker is None or any(one.marker.evaluate(each) for each in environments)
    ]


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_distribution_has_hashes_and_the_pinned_version(name):
    entries = re.split(r"\n(?=[A-Za-z0-9])", LOCKS[name].read_text())[1:]

    assert entries
    for entry in entries:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry.splitlines()[0]
    for distribution, version in pinned(LOCKS[name]).items():
        assert version.removesuffix("+cpu") == CONSTRAINTS[distribution], distribution


def test_all_that_the_server_requires_is_locked():
    left, seen = wanted(), set()
    while left:
        requirement = left.pop()
        name = canonicalize_name(requirement.name)
        if (key := (name, frozenset(requirement.extras))) in seen:
            continue
        seen.add(key)
        assert name in LOCK, f"{requirement} must be locked; run `make lock`"
        assert requirement.specifier.contains(LOCK[name], prereleases=True), requirement
        left += required_by(requirement)

    assert {name for name, _ in seen} == set(LOCK), "locked, but not required; run `make lock`"


def test_the_lock_brings_no_cuda():
    assert LOCK["torch"].endswith("+cpu")
    assert not [name for name in LOCK if name.startswith(("nvidia", "triton", "cuda"))]


def test_the_list_of_contents_is_made_from_the_lock():
    made = subprocess.run(
        ["make", "--dry-run", "sbom"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    (command,) = [line for line in made.stdout.splitlines() if "requirements.lock" in line]
    assert "cyclonedx-py requirements deploy/requirements.lock" in command
    assert "--output-format JSON" in made.stdout
