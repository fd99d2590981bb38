"""`python -m benchmarks.index.live`: latency of searches while items change, and while idle.

One thread searches, one query at a time. Another thread upserts and deletes items at a steady rate.
As in the engine, each change is in the journal on the disk before searches see it. Idle and busy
rounds alternate. Where the dataset's stages were built, the whole engine is measured too, while it
encodes the texts of new items in batches.
"""

import json
import logging
import os
import platform
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.command import configuration, folders, parser
from benchmarks.index.compare import as_table
from benchmarks.index.vectors import ITEMS_A_CENTRE, clustered, written
from index.config import IndexConfig, Kind, NeighboursConfig
from index.faiss_store.build import build_index
from index.faiss_store.installation import load_faiss
from index.faiss_store.store import FaissStore
from index.filters.attributes import Attributes
from index.stage import tune
from lineage.cli import configure_logging, reported_errors
from lineage.journal import Journal
from lineage.manifest import MANIFEST
from lineage.stages import RANKER
from serving.catalogue.change_log import CHANGES, Change, encoded
from serving.catalogue.live_items import LiveItems
from shortlist_client.api.item import Item
from shortlist_client.api.request import Shopper

logger = logging.getLogger("benchmarks.index.live")
DIMENSION, K = 384, 200
STATE = 768 + 64
"""Bytes that the ranker stores per item: its states and its words."""
WAYS: tuple[tuple[Kind, int], ...] = (("exact", 50_000), ("ivf-pq", 200_000))
Figures = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class LiveConfig:
    """Rate of changes while searches are timed."""

    upserts: int = 200
    """Items upserted per second; half of them replace known items."""
    deletes: int = 50
    """Items deleted per second."""
    seconds: float = 10.0
    """Length of a round, s."""
    rounds: int = 3
    """Number of idle rounds, and of busy rounds."""
    batch: int = 10
    """Items per change; each change is one write to the disk."""

    def __post_init__(self) -> None:
        for name in ("upserts", "deletes", "seconds", "rounds", "batch"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")


class Changing:
    """Changes items as the engine does, with random embeddings."""

    def __init__(self, base: FaissStore, folder: Path, batch: int) -> None:
        """Open the journal.

        Args:
            base: Index of the items before any change.
            folder: Folder of the journal.
            batch: Items per change.
        """
        self.items = LiveItems.of(base, Attributes(attributes={}, items=len(base)), STATE)
        self._journal = Journal(folder / CHANGES)
        self._base, self._batch, self._count = len(base), batch, 0
        self._rng = np.random.default_rng(0)

    def upsert(self) -> None:
        """Upsert one batch; every second item replaces an item of the base."""
        known = self._rng.choice(self._base, self._batch, replace=False)
        known[::2] = -1
        self._count += 1
        items = [
            Item(
                item_id=f"new-{self._count}-{place}" if row < 0 else f"base-{row}",
                title="a title that no model encodes here",
            )
            for place, row in enumerate(known.tolist())
        ]
        vectors = self._rng.standard_normal((self._batch, DIMENSION), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        states = np.zeros((self._batch, STATE), np.int8)
        changes = [
            Change(item_id=item.item_id, when=time.time(), item=item, vector=vector, state=state)
            for item, vector, state in zip(items, vectors, states, strict=True)
        ]
        self._journal.append(encoded(changes))
        current = self.items.index.current(known[1::2])
        self.items = self.items.changed(
            items,
            vectors,
            states,
            texts=[item.title for item in items],
            origins=known,
            hidden=current[current >= 0],
        )

    def delete(self) -> None:
        """Delete one batch of items of the base."""
        rows = self._rng.choice(self._base, self._batch, replace=False)
        now = time.time()
        changes = [Change(item_id=f"base-{row}", when=now, item=None) for row in rows.tolist()]
        self._journal.append(encoded(changes))
        current = self.items.index.current(rows)
        self.items = self.items.changed(
            [],
            np.empty((0, DIMENSION), np.float32),
            np.empty((0, STATE), np.int8),
            texts=(),
            origins=np.empty(0, np.int64),
            hidden=current[current >= 0],
        )

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()


@contextmanager
def pace(work: Sequence[tuple[Callable[[], object], float]]) -> Iterator[list[int]]:
    """Call functions in another thread at steady rates.

    Args:
        work: Functions and their rates, calls per second.

    Yields:
        Number of calls of each function so far.
    """
    done, counts = threading.Event(), [0] * len(work)

    def run() -> None:
        started = time.perf_counter()
        while not done.wait(5e-4):
            for place, (step, rate) in enumerate(work):
                while counts[place] < rate * (time.perf_counter() - started):
                    if done.is_set():
                        return
                    step()
                    counts[place] += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield counts
    finally:
        done.set()
        thread.join()


def by_turns(
    ask: Callable[[int], object],
    work: Sequence[tuple[Callable[[], object], float]],
    config: LiveConfig,
) -> Figures:
    """Median and 99th percentile, ms, idle and busy; each is the least over the rounds."""
    measured: dict[str, list[NDArray[np.float64]]] = {"idle": [], "busy": []}
    rates = [0.0] * len(work)
    for _ in range(config.rounds):
        measured["idle"].append(_timed(ask, config.seconds))
        started = time.perf_counter()
        with pace(work) as counts:
            measured["busy"].append(_timed(ask, config.seconds))
            seconds = time.perf_counter() - started
        rates = [sum(pair) for pair in zip(rates, (n / seconds for n in counts), strict=True)]
    changed = config.batch * sum(rates) / config.rounds
    figures: Figures = {"changes a second": round(changed)}
    for name, rounds in measured.items():
        for percent in (50, 99):
            least = np.min([np.percentile(times, percent, axis=0) for times in rounds], axis=0)
            figures[f"{name} p{percent} ms"] = round(float(least[0]), 3)
        figures[f"{name} p99 CPU ms"] = round(float(least[1]), 3)
    for name in ("p99 ms", "p99 CPU ms"):
        figures[f"ratio of {name}"] = round(figures[f"busy {name}"] / figures[f"idle {name}"], 2)
    return figures


def _timed(ask: Callable[[int], object], seconds: float) -> NDArray[np.float64]:
    """(searches, 2) latency and CPU time of each search, ms."""
    times: list[tuple[float, float]] = []
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        before = time.perf_counter(), time.thread_time()
        ask(len(times))
        after = time.perf_counter(), time.thread_time()
        times.append((after[0] - before[0], after[1] - before[1]))
        time.sleep(2e-3)  # a server is idle between requests, too
    return 1e3 * np.array(times)


def searches(kind: Kind, size: int, folder: Path, config: LiveConfig) -> Figures:
    """Search an index while its items change.

    Args:
        kind: Kind of the index.
        size: Number of items of the base.
        folder: Folder for vectors and journal.
        config: Rate of changes.
    """
    make = clustered(size // ITEMS_A_CENTRE)
    vectors = written(folder / f"{size}.npy", make, size, DIMENSION)
    queries: NDArray[np.float32] = np.concatenate(list(make(1_000, DIMENSION, 2)))
    built = IndexConfig(kind=kind, neighbours=NeighboursConfig(kept=0))
    base = build_index(vectors, built, folder)
    point, _ = tune(base, built, vectors, queries)
    base.set_operating_point(point.parameters)
    changing = Changing(base, folder, config.batch)

    def search(place: int) -> object:
        return changing.items.index.search(queries[place % len(queries)][None], K)

    batch = config.batch
    work = [(changing.upsert, config.upserts / batch), (changing.delete, config.deletes / batch)]
    figures = by_turns(search, work, config)
    changing.close()
    figures["added at the end"] = len(changing.items.index.added)
    return {"searched": f"{kind}, {size:,} × {DIMENSION}", **figures}


def cascades(root: Path, config: LiveConfig) -> Figures:
    """Ask the whole engine for recommendations while it encodes and upserts new items.

    Args:
        root: Folder of the dataset's stages.
        config: Rate of changes.
    """
    from serving.engine.engine import Engine, EngineConfig
    from serving.live.live_engine import LiveEngine

    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "stages"
        folder.mkdir()
        for stage in root.iterdir():
            (folder / stage.name).symlink_to(stage.resolve())
        (folder / CHANGES).unlink(missing_ok=True)
        engine = LiveEngine(Engine.load(folder, EngineConfig()), folder)
        known = engine.current.cascade.catalogue
        size, rng, count = len(known), np.random.default_rng(0), [0]

        def upsert() -> None:
            rows = rng.integers(size, size=config.batch).tolist()
            count[0] += 1
            engine.upsert(
                [
                    Item(item_id=f"new-{count[0]}-{n}", title=f"{known.title(row)} anew")
                    for n, row in enumerate(rows)
                ]
            )

        def delete() -> None:
            rows = rng.choice(size, config.batch, replace=False).tolist()
            catalogue = engine.current.cascade.catalogue
            ids = [known.item_id(row) for row in rows]
            engine.delete([item_id for item_id in ids if catalogue.row(item_id) is not None])

        def recommend(_: int) -> object:
            history = [known.item_id(row) for row in rng.integers(size, size=10).tolist()]
            return engine.current.recommend(Shopper(history=history))

        upsert()
        work = [(upsert, config.upserts / config.batch), (delete, config.deletes / config.batch)]
        figures = by_turns(recommend, work, config)
        figures["added at the end"] = len(engine.current.cascade.retriever.sources.index.added)
        engine.close()
    return {"searched": f"{root.name}, the whole engine", **figures}


def main() -> None:
    """Measure, print, and write `live.json` to the reports' folder."""
    options = parser("python -m benchmarks.index.live", "Searches while items change.", LiveConfig)
    parsed = options.parse_args()
    configure_logging()
    with reported_errors():
        arguments = options.instantiate(parsed)
        config, (root, reports) = configuration(arguments, LiveConfig), folders(arguments)
        load_faiss().omp_set_num_threads(1)
        rows: list[Figures] = []
        for kind, size in WAYS:
            with tempfile.TemporaryDirectory(dir=".") as made:  # on a disk, as journals are
                rows.append(searches(kind, size, Path(made), config))
                logger.info("%s", rows[-1])
        if (root / RANKER / MANIFEST).is_file():
            rows.append(cascades(root, config))
        reports.mkdir(parents=True, exist_ok=True)
        machine = f"{platform.machine()}, {os.cpu_count()} cores"
        (reports / "live.json").write_text(
            json.dumps({"machine": machine, "while items change": rows}, indent=1)
        )
        Console(width=160).print(as_table("searches while items change", rows))
        logger.info("figures: %s", reports / "live.json")


if __name__ == "__main__":
    main()
