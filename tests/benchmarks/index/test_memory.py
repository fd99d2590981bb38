import mmap
import time

import numpy as np
import pytest

from benchmarks.index.memory import _watched, built_within

BYTES, PAGE = 205 << 20, 4096
"""A fifth of a GiB."""


def looked_at_twice(own):
    seen = len(own)
    while len(own) < seen + 2:
        time.sleep(0.01)


def test_memory_is_seen_while_it_lasts():
    with _watched() as own:
        held = mmap.mmap(-1, BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        held[::PAGE] = b"1" * (BYTES // PAGE)
        looked_at_twice(own)
        held.close()
        looked_at_twice(own)

    assert max(own) - own[0] >= 0.15
    assert max(own) - own[-1] >= 0.15


def test_pages_of_a_mapped_file_are_not_ones_own(tmp_path):
    np.save(tmp_path / "vectors.npy", np.ones(BYTES, np.uint8))

    with _watched() as own:
        mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
        assert mapped[::PAGE].all()
        looked_at_twice(own)

    assert max(own) - own[0] < 0.1


@pytest.mark.slow
def test_an_index_is_made_within_the_budget_whole_and_found_again(tmp_path):
    figures = built_within(0.75, 100_000, tmp_path)

    assert figures["kind"] == "in memory"
    assert figures["recall@100"] >= 0.98
    assert 0.05 < figures["peak GiB without mapped files"] <= figures["peak GiB"] < 0.75
    assert [path.name for path in tmp_path.iterdir()] == ["memory.npy"]
