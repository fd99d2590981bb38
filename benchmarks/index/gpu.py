"""`python -m benchmarks.index.gpu`: every kind of index on this machine's GPUs and CPU.

Each index is built on both, tuned on the GPUs, and searched on both at the same operating point.
"""

import logging
import platform
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonargparse
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.command import configuration, save_figures
from benchmarks.index.compare import as_table
from benchmarks.index.peers import recall_of
from benchmarks.index.vectors import ITEMS_A_CENTRE, clustered, unclustered, written
from index.config import GPUs, IndexConfig, Kind
from index.faiss_store.build import build_index
from index.faiss_store.installation import builds_graphs, gpu_count, load_faiss
from index.faiss_store.store import FaissStore
from index.stage import tune
from index.tuning import nearest
from lineage.cli import configure_logging, reported_errors
from lineage.options import OptionParser

logger = logging.getLogger("benchmarks.index.gpu")
K, BATCH = 100, 64
KINDS: tuple[Kind, ...] = ("exact", "ivf-pq", "ivf-sq", "ivf-flat", "cagra")
QUERIES = 500
"""Queries to tune on; as many others are measured."""
CALLERS = 32
"""Threads that search concurrently, one query each."""
Figures = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class GPUConfig:
    """Size of the synthetic data and of the build."""

    items: int = 1_000_000
    """Number of vectors."""
    dimension: int = 384
    """Length of a vector."""
    memory_gib: float = 32.0
    """Most memory that a build may occupy, GiB."""

    def __post_init__(self) -> None:
        if self.items < 1000:
            raise ValueError(f"items must be at least 1000, got {self.items}")
        if self.dimension < 1:
            raise ValueError(f"dimension must be positive, got {self.dimension}")


def compared(
    name: str, vectors: NDArray[np.float32], queries: NDArray[np.float32], config: IndexConfig
) -> Iterator[Figures]:
    """Figures of one kind of index, for every way to divide the work among the GPUs.

    Args:
        name: Name of the vectors.
        vectors: (items, dimension)
        queries: (queries, dimension); half of them are for tuning.
        config: Kind of index.
    """
    tuning, measured = queries[::2], queries[1::2]
    truth = nearest(measured, vectors, K)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        by_cpu_s, _ = timed(build_index, vectors, replace(config, gpus="none"), folder)
        by_gpu_s, index = timed(build_index, vectors, config, folder)
        try:
            point, _ = tune(index, config, vectors, tuning)
        except ValueError as error:
            yield {"vectors": name, "kind": config.kind, "short of the recall": str(error)}
            return
        index.set_operating_point(point.parameters)
        index.save(folder)
        on_cpu = FaissStore.load(folder, "none")
        expected = on_cpu.search(measured, K)[1]
        ways: tuple[GPUs, ...] = ("replicas", "shards") if gpu_count() > 1 else ("auto",)
        for gpus in ways if config.kind != "cagra" else ("auto",):
            copied_s, on_gpu = timed(FaissStore.load, folder, gpus)
            found = on_gpu.search(measured, K)[1]
            yield {
                "vectors": f"{name}, {len(vectors):,} × {vectors.shape[1]}",
                "kind": config.kind,
                "gpus": f"{gpu_count()} {gpus}",
                "operating point": point.parameters or "exact",
                "recall@100": round(recall_of(list(found), truth), 4),
                "recall@100, CPU": round(recall_of(list(expected), truth), 4),
                "build s": round(by_gpu_s, 1),
                "build s, CPU": round(by_cpu_s, 1),
                "load s": round(copied_s, 2),
                **both("p50 ms", lambda which: one_by_one(which, measured), on_gpu, on_cpu),
                **both("batch of 64 ms", lambda which: batch(which, measured), on_gpu, on_cpu),
                **both("32 callers, /s", lambda which: at_once(which, measured), on_gpu, on_cpu),
            }


def both(
    name: str, measure: Callable[[FaissStore], float], on_gpu: FaissStore, on_cpu: FaissStore
) -> Figures:
    """The same figure measured on the GPU and on the CPU."""
    return {name: round(measure(on_gpu), 3), f"{name}, CPU": round(measure(on_cpu), 3)}


def one_by_one(index: FaissStore, queries: NDArray[np.float32]) -> float:
    """Median latency of one query, ms."""
    seconds = [timed(index.search, query[None], K)[0] for query in queries]
    return 1e3 * float(np.median(seconds))


def batch(index: FaissStore, queries: NDArray[np.float32]) -> float:
    """Median latency of a batch of 64 queries, ms."""
    seconds = [timed(index.search, queries[:BATCH], K)[0] for _ in range(10)]
    return 1e3 * float(np.median(seconds))


def at_once(index: FaissStore, queries: NDArray[np.float32]) -> float:
    """Queries per second when several threads each search one query at a time."""
    start = threading.Barrier(CALLERS)

    def call(place: int) -> None:
        start.wait()
        for query in queries[place::CALLERS]:
            index.search(query[None], K)

    with ThreadPoolExecutor(CALLERS) as threads:
        seconds, _ = timed(lambda: list(threads.map(call, range(CALLERS))))
    return len(queries) / seconds


def timed(call: Callable[..., Any], *arguments: object) -> tuple[float, Any]:
    """Duration of a call, s, and its result."""
    started = time.perf_counter()
    returned = call(*arguments)
    return time.perf_counter() - started, returned


def main() -> None:
    """Measure, print, and write `gpu.json` to the reports' folder."""
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    options = OptionParser(
        prog="python -m benchmarks.index.gpu", description="The index on the GPUs of this machine."
    )
    options.add_argument("--reports", type=Path, default=Path("reports"), help="output root")
    options.add_class_arguments(GPUConfig)
    parsed = options.parse_args()
    configure_logging()
    with reported_errors():
        arguments = options.instantiate(parsed)
        config = configuration(arguments, GPUConfig)
        if not gpu_count():
            raise OSError("FAISS sees no GPU; `make install EXTRA=gpu` on a box with one")
        machine = f"{platform.machine()}, {gpu_count()} GPUs, {load_faiss().get_compile_options()}"
        rows: list[Figures] = []
        with tempfile.TemporaryDirectory() as made:
            for name, make in (
                ("clustered", clustered(config.items // ITEMS_A_CENTRE)),
                ("unclustered", unclustered),
            ):
                path = Path(made) / f"{name}.npy"
                vectors = written(path, make, config.items, config.dimension)
                queries = np.concatenate(list(make(2 * QUERIES, config.dimension, 2)))
                for kind in KINDS if builds_graphs() else KINDS[:-1]:
                    index = IndexConfig(kind=kind, memory_gib=config.memory_gib, target_recall=0.95)
                    for figures in compared(name, vectors, queries, index):
                        rows.append(figures)
                        content = {"machine": machine, "kinds": rows}
                        save_figures(arguments.reports, "gpu", content)
        Console(width=200).print(as_table("GPU and CPU", rows))


if __name__ == "__main__":
    main()
