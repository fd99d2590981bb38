"""`make check` finds the tests of every file that may change."""

import importlib.util
from pathlib import Path, PurePosixPath

import pytest

from lineage.cli import PACKAGES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tests_of():
    spec = importlib.util.spec_from_file_location("tests_of", ROOT / ".ci" / "tests_of.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def folders_and_files(path):
        found = module.tests_of(PurePosixPath(path), ROOT)
        return {test.relative_to(ROOT) for test in found}

    return folders_and_files


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("serving/engine/engine.py", "tests/serving/engine"),
        ("serving/server/servicers/admin.py", "tests/serving/server"),
        ("shortlist_client/api/request.py", "tests/shortlist_client"),
        ("shortlist_client/wire/filters.py", "tests/shortlist_client"),
        ("ranker/joint/model.py", "tests/ranker"),
        ("protos/recommender/v1/catalog.proto", "tests/shortlist_client"),
        ("tests/shortlist_client/smoke.py", "tests/shortlist_client"),
    ],
)
def test_a_file_is_tested_by_the_nearest_folder_that_mirrors_it(tests_of, path, folder):
    found = tests_of(path)

    assert {test.parent for test in found} == {Path(folder)}
    assert found == {test.relative_to(ROOT) for test in (ROOT / folder).glob("test_*.py")}


@pytest.mark.parametrize("folder", ["serving", "benchmarks"])
def test_where_no_test_mirrors_a_file_all_tests_of_its_package_count(tests_of, folder):
    found = tests_of(f"{folder}/__main__.py")

    assert found == {
        test.relative_to(ROOT) for test in (ROOT / "tests" / folder).rglob("test_*.py")
    }


def test_a_test_is_its_own_test_until_it_is_deleted(tests_of):
    own = "tests/repository/test_check.py"

    assert tests_of(own) == {Path(own)}
    assert tests_of("tests/repository/test_deleted.py") == set()


@pytest.mark.parametrize(
    "path", ["pyproject.toml", "README.md", "docs/api.md", "deploy/Dockerfile", ".ci/check"]
)
def test_a_file_of_no_package_is_tested_with_the_repository(tests_of, path):
    folders = {test.parent for test in tests_of(path)}

    assert folders == {Path("tests/docs"), Path("tests/repository")}


@pytest.mark.parametrize("path", ["configs/serving.yaml", "packaging/client/pyproject.toml"])
def test_configurations_and_packaging_have_tests(tests_of, path):
    assert tests_of(path)


def test_every_module_has_tests(tests_of):
    modules = [
        path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py")
    ]

    assert [path for path in modules if not tests_of(path)] == []
