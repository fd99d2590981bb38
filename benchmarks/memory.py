"""How much memory a build takes at most."""

import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.vectors import ITEMS_A_CENTRE, clustered, written
from index.build import LISTS, build_index
from index.config import IndexConfig
from index.installation import load_faiss

DIMENSION = 128


def built_within(gib: float, items: int, folder: Path) -> dict[str, Any]:
    """Largest resident memory of a process that builds an index from a file, within a budget."""
    path = folder / "memory.npy"
    if not path.exists():
        written(path, clustered(items // ITEMS_A_CENTRE), items, DIMENSION)
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        kind, peak, seconds = pool.apply(_build_and_weigh, (path, gib))
    return {
        "items": items,
        "dimension": DIMENSION,
        "kind": kind,
        "budget GiB": gib,
        "peak GiB": round(peak / 2**20, 2),
        "seconds": round(seconds, 1),
    }


def _build_and_weigh(path: Path, gib: float) -> tuple[str, int, float]:
    """Kind of index, peak in KiB, of this very program and not of what it was started from."""
    load_faiss().omp_set_num_threads(1)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        config = IndexConfig(memory_gib=gib)
        build_index(np.load(path, mmap_mode="r"), config, Path(folder)).save(Path(folder))
        kind = "ivf-sq, lists on disk" if (Path(folder) / LISTS).exists() else "in memory"
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return kind, int(status["VmHWM"].split()[0]), time.perf_counter() - started
