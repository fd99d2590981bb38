"""`python -m benchmarks.index.compare`: recall, latency and memory against hnswlib and ScaNN.

All libraries search one query at a time in one thread of this process, in alternating rounds.
"""

import logging
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.command import configuration, folders, parser, save_figures
from benchmarks.index.memory import built_within
from benchmarks.index.peers import PEERS, reaching, recall_of
from benchmarks.index.vectors import ITEMS_A_CENTRE, clustered, unclustered, written
from dataset.postings import bitmap_of
from index.config import IndexConfig, NeighboursConfig
from index.faiss_store.build import build_index
from index.faiss_store.installation import load_faiss
from index.faiss_store.store import FaissStore
from index.stage import tune
from index.tuning import nearest
from lineage.cli import configure_logging, reported_errors
from lineage.manifest import MANIFEST
from lineage.stages import EMBEDDINGS, TOWERS, USER_EMBEDDINGS

logger = logging.getLogger("benchmarks.index.compare")
DIMENSION, K = 384, 100
QUERIES = 500
"""Queries to tune on; as many others are measured."""
ROUNDS = 3
SHARES = (0.5, 0.1, 0.01, 0.001)
"""Shares of the items that pass a filter."""
FILTERED = 100
"""Queries searched with a filter."""
BATCH_ITEMS, BATCH = 17_000, 64
Figures = dict[str, Any]


def compare_with_peers(
    name: str, vectors: NDArray[np.float32], queries: NDArray[np.float32], config: IndexConfig
) -> tuple[Figures, list[Figures]]:
    """Tune on half of the queries; on the other half compare with peers at equal recall.

    Args:
        name: Name of the vectors.
        vectors: (items, dimension)
        queries: (queries, dimension)
        config: Options of the index.

    Returns:
        Figures of searches among all items, and of searches with a filter.
    """
    load_faiss().omp_set_num_threads(1)
    tuning, measured = queries[::2], queries[1::2]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        index = build_index(vectors, config, Path(folder))
        seconds = time.perf_counter() - started
        point, _ = tune(index, config, vectors, tuning)
        index.set_operating_point(point.parameters)
        truth = nearest(measured, vectors, K)
        recall = recall_of([index.search(query[None], K)[1][0] for query in measured], truth)
        figures: Figures = {
            "vectors": f"{name}, {len(vectors):,} × {vectors.shape[1]}",
            "operating point": point.parameters or "exact",
            "recall@100": round(recall, 4),
            "build s": round(seconds, 1),
        }
        logger.info("%s", figures)
        in_memory, latencies, ours = np.asarray(vectors), {}, []
        for peer, points in PEERS.items():
            times = {}
            for parameters, reached, search in reaching(
                points(in_memory, K), measured, truth, recall
            ):
                mine, theirs = by_turns(lambda q: index.search(q[None], K), search, measured)
                ours.append(mine)
                times[f"{parameters} ({reached:.4f})"] = theirs
                logger.info("%s %s: %.3f ms, ours %.3f ms", peer, parameters, theirs, mine)
            if times:
                best = min(times, key=times.__getitem__)
                figures[peer], latencies[peer] = best, times[best]
        if not ours:
            ours = [by_turns(lambda q: index.search(q[None], K), None, measured)[0]]
        filtered = [
            {"vectors": figures["vectors"], **among(index, in_memory, measured[:FILTERED], share)}
            for share in SHARES
        ]
    milliseconds = min(ours)
    figures["p50 ms"] = round(milliseconds, 3)
    figures |= {f"{peer} p50 ms": round(latency, 3) for peer, latency in latencies.items()}
    if latencies:
        figures["ratio"] = round(milliseconds / min(latencies.values()), 2)
    return figures, filtered


def among(
    index: FaissStore, vectors: NDArray[np.float32], queries: NDArray[np.float32], share: float
) -> Figures:
    """Recall and latency of searches with a filter that a random share of the items passes.

    Args:
        index: Index over the vectors.
        vectors: (items, dimension)
        queries: (queries, dimension)
        share: Share of the items that pass, 0 to 1.
    """
    rows = np.flatnonzero(np.random.default_rng(0).random(len(vectors)) < share)
    passing, allowed = vectors[rows], bitmap_of(rows)
    k = min(K, len(rows))
    truth = rows[nearest(queries, passing, k)]
    found = [index.search_among(query, K, allowed)[1] for query in queries]
    milliseconds, _ = by_turns(lambda q: index.search_among(q, K, allowed), None, queries)
    return {
        "fitting": f"{share:.1%}, {len(rows):,}",
        "recall@100": round(recall_of(found, truth), 4),
        "p50 ms": round(milliseconds, 3),
    }


def by_turns(
    ours: Callable[[NDArray[np.float32]], object],
    theirs: Callable[[NDArray[np.float32]], object] | None,
    queries: NDArray[np.float32],
) -> tuple[float, float]:
    """Median latency of each, ms: the least of several alternating rounds; NaN without `theirs`."""
    medians: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for place, search in enumerate((ours, theirs)):
            seconds = []
            for query in queries if search else ():
                started = time.perf_counter()
                search(query)  # type: ignore[misc]
                seconds.append(time.perf_counter() - started)
            medians[place].append(1e3 * float(np.median(seconds)) if seconds else np.nan)
    return min(medians[0]), min(medians[1])


def exact_batches(untouched: int) -> Figures:
    """Latency of exact batch search in one thread, with our BLAS threshold and FAISS's default.

    Args:
        untouched: FAISS's default threshold.
    """
    faiss = load_faiss()
    faiss.omp_set_num_threads(1)
    ours = faiss.cvar.distance_compute_blas_threshold
    vectors = np.concatenate(list(unclustered(BATCH_ITEMS, DIMENSION, 1)))
    queries = np.concatenate(list(unclustered(BATCH, DIMENSION, 2)))
    index = faiss.IndexFlatIP(DIMENSION)
    index.add(vectors)
    times: dict[int, list[float]] = {ours: [], untouched: []}
    for _ in range(10):
        for threshold, milliseconds in times.items():
            faiss.cvar.distance_compute_blas_threshold = threshold
            started = time.perf_counter()
            index.search(queries, K)
            milliseconds.append(1e3 * (time.perf_counter() - started))
    faiss.cvar.distance_compute_blas_threshold = ours
    mine, theirs = min(times[ours]), min(times[untouched])
    return {
        "ms": round(mine, 2),
        "ms as FAISS comes": round(theirs, 2),
        "times faster": round(theirs / mine, 1),
    }


def data_sets(
    root: Path, folder: Path, *, full: bool
) -> Iterator[tuple[str, NDArray[np.float32], NDArray[np.float32]]]:
    """Name, vectors and queries of two synthetic sets, and of the towers if they were trained."""
    large = 1_000_000 if full else 200_000
    for name, make, size in (
        ("clustered", clustered(large // ITEMS_A_CENTRE), large),
        ("unclustered", unclustered, 200_000),
    ):
        queries = np.concatenate(list(make(2 * QUERIES, DIMENSION, 2)))
        yield name, written(folder / f"{name}.npy", make, size, DIMENSION), queries
    towers = root / TOWERS
    if (towers / MANIFEST).is_file():
        users = np.load(towers / USER_EMBEDDINGS)
        chosen = np.random.default_rng(0).permutation(len(users))[: 2 * QUERIES]
        yield root.name, np.load(towers / EMBEDDINGS, mmap_mode="r"), users[chosen]


def main() -> None:
    """Measure, print, and write `index.json` to the reports' folder."""
    options = parser("python -m benchmarks.index.compare", "Speed of the index.", IndexConfig)
    options.add_argument("--full", action="store_true", help="1M and 5M vectors, not 200k and 1M")
    parsed = options.parse_args()
    import faiss

    untouched = faiss.cvar.distance_compute_blas_threshold
    configure_logging()
    with reported_errors():
        arguments = options.instantiate(parsed)
        config = replace(configuration(arguments, IndexConfig), neighbours=NeighboursConfig(kept=0))
        root, reports = folders(arguments)
        with tempfile.TemporaryDirectory() as made:
            folder, size = Path(made), 5_000_000 if arguments.full else 1_000_000
            memory = [
                built_within(gib, size, folder)
                for gib in ((4.0, 1.5) if arguments.full else (1.0, 0.8))
            ]
            (folder / "memory.npy").unlink()
            batches = exact_batches(untouched)
            compared = [
                compare_with_peers(name, vectors, queries, config)
                for name, vectors, queries in data_sets(root, folder, full=arguments.full)
            ]
        filtered = [row for _, rows in compared for row in rows]
        content: Figures = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, one used",
            "beside peers": [figures for figures, _ in compared],
            "filtered": filtered,
            "exact batches of 64 over 17,000": batches,
            "memory": memory,
        }
        for title, rows in (
            ("peers at equal recall", content["beside peers"]),
            ("searches with a filter", filtered),
            ("exact batches of 64 over 17,000", [batches]),
            ("memory of a build", memory),
        ):
            Console(width=160).print(as_table(title, rows))
        save_figures(reports, "index", content)


def as_table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Table with one row per measurement."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*(str(row.get(name, "")) for name in columns))
    return table


if __name__ == "__main__":
    main()
