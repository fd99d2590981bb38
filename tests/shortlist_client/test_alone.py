"""The client works without the server's packages."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from events.open_store import open_store

SMOKE = Path(__file__).with_name("smoke.py")
LOADED = """
import sys
before = set(sys.modules)
import {module}
print(*sorted({{name.partition(".")[0] for name in set(sys.modules) - before}}))
"""
CLASHING = """
import sys
sys.path.insert(0, {own!r})
import events, protos, serving
import shortlist_client
from shortlist_client.proto.recommender.v1 import recommender_pb2
print(events.OWN, protos.OWN, serving.OWN, recommender_pb2.DESCRIPTOR.name)
"""
OLDEST = (
    "grpcio==1.49.1",
    "grpcio-health-checking==1.49.1",
    "grpcio-status==1.49.1",
    "protobuf==4.21.6",
)


@pytest.fixture
def copied(pytestconfig, tmp_path):
    """A folder with only a link to the client."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "shortlist_client").symlink_to(pytestconfig.rootpath / "shortlist_client")
    return folder


def run(code, *, path, cwd):
    """Words printed by a fresh interpreter that imports packages from folder `path` alone."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(
        command,
        cwd=cwd,
        check=True,
        capture_output=True,
        text=True,
        env={**clean, "PYTHONPATH": str(path)},
    )
    return done.stdout.split()


@pytest.mark.parametrize("module", ["shortlist_client", "shortlist_client.calling"])
def test_the_client_imports_only_grpc_protobuf_and_the_standard_library(copied, tmp_path, module):
    loaded = set(run(LOADED.format(module=module), path=copied, cwd=tmp_path))

    others = {name for name in loaded if name not in sys.stdlib_module_names}
    assert "shortlist_client" in others
    assert ("grpc" in others) == (module == "shortlist_client.calling")
    allowed = ("shortlist_client", "grpc", "google", "_cython_", "cython_", "typing_extensions")
    assert [name for name in others if not name.startswith(allowed)] == []


def test_the_client_does_not_shadow_a_backends_packages(copied, tmp_path):
    own = tmp_path / "own"
    for name in ("events", "protos", "serving"):
        (own / name).mkdir(parents=True)
        (own / name / "__init__.py").write_text(f'OWN = "own-{name}"\n')

    printed = run(CLASHING.format(own=str(own)), path=copied, cwd=tmp_path)

    assert printed[:3] == ["own-events", "own-protos", "own-serving"]
    assert printed[3].startswith("shortlist_client/")


def test_the_exported_names_are_sorted_and_exist():
    import shortlist_client

    assert list(shortlist_client.__all__) == sorted(
        shortlist_client.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name)
    )
    for name in shortlist_client.__all__:
        assert getattr(shortlist_client, name) is not None


def test_both_distributions_have_one_version(pytestconfig):
    root = pytestconfig.rootpath
    versions = {
        tomllib.loads((root / file).read_text())["project"]["version"]
        for file in ("pyproject.toml", "packaging/client/pyproject.toml")
    }

    assert len(versions) == 1


@pytest.fixture
def complete(start, fake, tmp_path):
    """A server with a fake engine and an event store."""
    store = open_store(str(tmp_path / "events.sqlite"))
    running = start(lambda: fake, parts={"store": store})
    running.loaded.result(10)
    return running


def test_every_call_works_with_the_installed_libraries(complete, copied, tmp_path):
    command = [sys.executable, "-P", str(SMOKE), complete.address]
    environment = {**os.environ, "PYTHONPATH": str(copied)}

    done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)

    assert str(copied) in done.stdout.decode()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("versions", [(), OLDEST], ids=["newest", "oldest"])
def test_the_wheel_works_alone(pytestconfig, complete, tmp_path, versions):
    root, python = pytestconfig.rootpath, tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    client = str(root / "packaging" / "client")
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(tmp_path), client], check=True)
    (wheel,) = tmp_path.glob("shortlist_client-*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    installing = [str(python), *pip[1:], "install", str(wheel), *versions]
    subprocess.run(installing, check=True)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    smoke = tmp_path / "smoke.py"
    smoke.write_text(SMOKE.read_text())
    done = subprocess.run(
        [str(python), str(smoke), complete.address],
        cwd=tmp_path,
        env=clean,
        check=True,
        capture_output=True,
        text=True,
    )

    assert str(tmp_path / "venv") in done.stdout
    packages = tmp_path.glob("venv/lib/python*/site-packages")
    (folder,) = packages
    assert not any((folder / name).exists() for name in ("serving", "protos", "events"))
    (licence,) = folder.glob("shortlist_client-*.dist-info/licenses/LICENSE")
    assert licence.read_bytes() == (root / "LICENSE").read_bytes()


def test_every_exported_name_exists():
    import shortlist_client

    assert all(hasattr(shortlist_client, name) for name in shortlist_client.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = shortlist_client.Nothing
