import os

import numpy as np
import pytest

from lineage.arrays import MAPPED_MIB, read_array


@pytest.fixture
def path(tmp_path):
    np.save(tmp_path / "rows.npy", np.arange(100_000))
    return tmp_path / "rows.npy"


def fill(path):
    with path.open("r+b") as file:
        file.write(b"x" * 500_000)


@pytest.mark.parametrize("mapped_mib", ["0", "1"])
@pytest.mark.parametrize("change", ["replaced", "deleted"])
def test_replacing_or_deleting_a_file_does_not_change_its_array(
    path, monkeypatch, mapped_mib, change
):
    monkeypatch.setenv(MAPPED_MIB, mapped_mib)
    array = read_array(path)
    path.unlink()
    if change == "replaced":
        np.save(path, np.zeros(100_000, np.int64))

    np.testing.assert_array_equal(array, np.arange(100_000))


@pytest.mark.parametrize("change", [lambda path: os.truncate(path, 0), fill])
def test_writing_into_or_truncating_a_small_file_does_not_change_its_array(path, change):
    array = read_array(path)
    change(path)

    np.testing.assert_array_equal(array, np.arange(100_000))


def test_only_large_files_are_mapped(path, monkeypatch):
    assert not isinstance(read_array(path), np.memmap)
    monkeypatch.setenv(MAPPED_MIB, "0.5")
    assert isinstance(read_array(path), np.memmap)


@pytest.mark.parametrize("mapped_mib", ["0", "1"])
def test_an_array_is_read_only(path, monkeypatch, mapped_mib):
    monkeypatch.setenv(MAPPED_MIB, mapped_mib)
    with pytest.raises(ValueError, match="read-only"):
        read_array(path)[0] = 1
