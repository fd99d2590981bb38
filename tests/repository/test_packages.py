"""Every list of the packages names all of them: the wheel, the checks and the image."""

import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from lineage.cli import PACKAGES

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TOOLS = PYPROJECT["tool"]
CONTRACTS = {contract["name"]: contract for contract in TOOLS["importlinter"]["contracts"]}


@pytest.mark.parametrize(
    "named",
    [
        pytest.param(PACKAGES, id="lineage.cli"),
        pytest.param(TOOLS["hatch"]["build"]["targets"]["wheel"]["packages"], id="wheel"),
        pytest.param(TOOLS["mypy"]["packages"], id="mypy"),
        pytest.param(TOOLS["importlinter"]["root_packages"], id="import-linter"),
        pytest.param(
            CONTRACTS["No package imports itself in a circle"]["ancestors"], id="import circles"
        ),
        pytest.param(
            [
                *CONTRACTS["Only dataset.prepare and the benchmarks read tables"]["source_modules"],
                "benchmarks",
            ],
            id="tables",
        ),
        pytest.param(
            re.findall(
                r"[a-z_]+",
                " ".join(CONTRACTS["Packages import only what lies below them"]["layers"]),
            ),
            id="layers",
        ),
        pytest.param(
            re.findall(
                r"^COPY ([a-z_]+) \1$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE
            ),
            id="Dockerfile",
        ),
    ],
)
def test_a_list_names_every_package(named):
    assert sorted(named) == FOLDERS


def distributions(requirements):
    """Names of the distributions, without versions and extras."""
    return {re.match(r"[a-z0-9-]+", requirement)[0] for requirement in requirements}


def test_the_client_may_import_no_dependency_of_the_server_alone():
    packaged = tomllib.loads((ROOT / "packaging" / "client" / "pyproject.toml").read_text())
    servers = distributions(PYPROJECT["project"]["dependencies"])
    forbidden = CONTRACTS["The client needs gRPC and protobuf alone"]["forbidden_modules"]

    owners = packages_distributions()
    covered = {
        owner.lower().replace("_", "-") for module in forbidden for owner in owners.get(module, [])
    }

    missing = servers - covered - distributions(packaged["project"]["dependencies"])
    assert missing == set()
