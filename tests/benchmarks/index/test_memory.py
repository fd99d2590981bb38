import mmap
import time

import numpy as np
import pytest

from benchmarks.index.memory import built_within, sampled_memory

BYTES, PAGE = 205 << 20, 4096
"""A fifth of a GiB."""


def wait_for_two_samples(own):
    taken = len(own)
    while len(own) < taken + 2:
        time.sleep(0.01)


def test_samples_rise_and_fall_with_allocated_memory():
    with sampled_memory() as own:
        allocated = mmap.mmap(-1, BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        allocated[::PAGE] = b"1" * (BYTES // PAGE)
        wait_for_two_samples(own)
        allocated.close()
        wait_for_two_samples(own)

    assert max(own) - own[0] >= 0.15
    assert max(own) - own[-1] >= 0.15


def test_samples_exclude_pages_of_mapped_files(tmp_path):
    np.save(tmp_path / "vectors.npy", np.ones(BYTES, np.uint8))

    with sampled_memory() as own:
        mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
        assert mapped[::PAGE].all()
        wait_for_two_samples(own)

    assert max(own) - own[0] < 0.1


@pytest.mark.slow
def test_a_build_stays_within_its_budget_and_reaches_its_recall(tmp_path):
    figures = built_within(0.75, 100_000, tmp_path)

    assert figures["kind"] == "in memory"
    assert figures["recall@100"] >= 0.98
    assert 0.05 < figures["peak GiB without mapped files"] <= figures["peak GiB"] < 0.75
    assert [path.name for path in tmp_path.iterdir()] == ["memory.npy"]
