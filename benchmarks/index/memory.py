"""Peak memory of building an index."""

import multiprocessing
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.index.vectors import ITEMS_A_CENTRE, clustered, written
from index.config import IndexConfig
from index.faiss_store.build import LISTS, build_index
from index.faiss_store.installation import load_faiss
from index.faiss_store.store import FaissStore
from index.stage import tune

DIMENSION, K = 128, 100
QUERIES = 500
SAMPLE_SECONDS = 0.02
"""Interval between two samples of the process's anonymous memory, s."""
STATUS = Path("/proc/self/status")
FILE = "memory.npy"


def built_within(gib: float, items: int, folder: Path) -> dict[str, Any]:
    """Build an index within a memory budget, in a separate process.

    Args:
        gib: The budget, GiB.
        items: Number of vectors; they are written to the folder unless they are there.
        folder: Folder of the vectors, on the disk that the index is written to.

    Returns:
        Kind of index, peak resident memory (with and without mapped pages, which the kernel can
        drop), and seconds.
    """
    path, make = folder / FILE, clustered(items // ITEMS_A_CENTRE)
    if not path.exists():
        written(path, make, items, DIMENSION)
    queries = np.concatenate(list(make(QUERIES, DIMENSION, 2)))
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawned) as processes:
        figures = processes.submit(_build, path, queries, gib).result()
    return {"items": items, "dimension": DIMENSION, "budget GiB": gib, **figures}


def _build(path: Path, queries: NDArray[np.float32], gib: float) -> dict[str, Any]:
    """Build, tune, save, load and search; figures of this process."""
    load_faiss().omp_set_num_threads(1)
    config, vectors = IndexConfig(memory_gib=gib), np.load(path, mmap_mode="r")
    with tempfile.TemporaryDirectory(dir=path.parent) as made, sampled_memory() as own:
        folder, started = Path(made), time.perf_counter()
        index = build_index(vectors, config, folder)
        built = time.perf_counter()
        point, _ = tune(index, config, vectors, queries)
        index.set_operating_point(point.parameters)
        index.save(folder)
        finished, on_disk = time.perf_counter(), (folder / LISTS).exists()
        del index
        FaissStore.load(folder).search(queries, K)
    return {
        "kind": "ivf-sq, lists on disk" if on_disk else "in memory",
        "peak GiB": _gib("VmHWM"),
        "peak GiB without mapped files": max(own),
        "build s": round(built - started, 1),
        "tune and save s": round(finished - built, 1),
        "operating point": point.parameters,
        "recall@100": round(point.recall, 4),
    }


@contextmanager
def sampled_memory() -> Iterator[list[float]]:
    """Sample this process's anonymous memory, GiB, until the block ends."""
    done, samples = threading.Event(), [_gib("RssAnon")]

    def sample() -> None:
        while not done.wait(SAMPLE_SECONDS):
            samples.append(_gib("RssAnon"))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        done.set()
        thread.join()


def _gib(name: str) -> float:
    """A memory figure of this process, GiB; `getrusage` would include the parent's peak."""
    status = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return round(int(status[name].split()[0]) / 2**20, 2)
