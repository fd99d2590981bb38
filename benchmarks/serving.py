"""`python -m benchmarks.serving`: the server as an operator starts it, beside a peer in-process.

The server runs in a process of its own and is asked over loopback. The peer is that of
sentence-transformers as it comes (fp32): a bi-encoder over the last titles, FAISS's flat index, and
a CrossEncoder over what was found, in this process. Then the server is loaded to 80% of what it can
while releases take turns, and to three times of it.
"""

import asyncio
import logging
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from backbone.load import best_device
from benchmarks.cascade import history_query
from benchmarks.command import configuration, folders, parser, save_figures
from benchmarks.load import Outcome, at_rate, in_flight
from dataset.arrays import Dataset, load_dataset
from index.installation import load_faiss
from lineage.cli import configure_logging, reported_errors
from lineage.publishing import add_release, go_live
from protos.recommender.v1 import recommender_pb2 as pb
from serving.client import RecommenderClient
from serving.engine import Engine, EngineConfig
from serving.query import Limits, Query
from serving.release import LINKS, open_release

logger = logging.getLogger("benchmarks.serving")
SHORTLIST, LIMIT, IN_FLIGHT, USERS, TITLES = 100, 20, 32, 200, 10
START_SECONDS = 120
Figures = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ServingConfig:
    """How long everything is measured."""

    backbone: str = ".cache/all-MiniLM-L6-v2"
    """What the peer reads with: a hub name or a local folder."""
    requests: int = 400
    """Requests one after another."""
    peer_requests: int = 20
    """Requests that the peer is timed with."""
    seconds: float = 10.0
    """With 32 in flight, and of overload."""
    steady_seconds: float = 60.0
    """At 80% of capacity."""
    reloads: int = 2
    """Releases that go live meanwhile."""

    def __post_init__(self) -> None:
        for name in ("requests", "peer_requests", "seconds", "steady_seconds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.reloads < 0:
            raise ValueError(f"reloads must not be negative, got {self.reloads}")


def two_releases(root: Path, releases: Path) -> list[str]:
    """Publish the finished stages twice; the first is live."""
    built = open_release(root)
    ids = []
    releases.mkdir(parents=True)
    for _ in range(2):
        record = add_release(releases, root, built.manifests, items=0, recall=1.0, bare=LINKS)
        ids.append(record.release_id)
        time.sleep(0.01)  # ids tell of milliseconds
    go_live(releases, ids[0])
    return ids


@contextmanager
def running(releases: Path) -> Iterator[tuple[str, int]]:
    """Address and process id of a server of the live release."""
    command = [sys.executable, "-m", "serving", "serve", "--releases", str(releases)]
    # users come again, and are to be answered anew
    command += ["--server.cache.answers_mb", "0", "--server.cache.shoppers", "0"]
    command += ["--server.port", "0", "--limits.shortlist", str(SHORTLIST), "--ranked"]
    process = subprocess.Popen([*command, str(SHORTLIST)], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        lines = iter(process.stderr)
        said = next((line for line in lines if "serving on " in line), None)
        if said is None:
            raise RuntimeError(f"{' '.join(command)} ended with status {process.wait()}")
        drained = threading.Thread(target=lambda: [sys.stderr.write(line) for line in lines])
        drained.start()
        yield said.split("serving on ")[1].split(": ")[0], process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(START_SECONDS)
        drained.join()


def one_at_a_time(
    engine: Engine, address: str, queries: Sequence[Query], config: ServingConfig
) -> Figures:
    """Over gRPC and by the bare engine, by turns."""
    times: dict[str, list[float]] = {"recommend": [], "retrieve": [], "bare engine": []}

    def timed(name: str, call: Callable[[], object]) -> None:
        started = time.perf_counter()
        call()
        times[name].append(1e3 * (time.perf_counter() - started))

    with RecommenderClient(address, timeout=60) as client:
        for number in range(config.requests + 20):
            query = queries[number % len(queries)]
            asked: dict[str, Any] = {"history": query.history, "limit": LIMIT}
            asked |= {"history_times": query.history_times}
            asked |= {"history_actions": query.history_actions}
            timed("recommend", lambda: client.recommend(**asked))  # noqa: B023  # called now
            timed("retrieve", lambda: client.retrieve(**asked))  # noqa: B023  # called now
            timed("bare engine", lambda: engine.recommend(query))  # noqa: B023  # called now
    found = {name: np.percentile(taken[20:], (50, 99)) for name, taken in times.items()}
    figures = {
        f"{name} p{percent} ms": round(float(value), 2)
        for name, values in found.items()
        for percent, value in zip((50, 99), values, strict=True)
    }
    overhead = found["recommend"][0] - found["bare engine"][0]
    return {**figures, "overhead p50 ms": round(float(overhead), 2)}


def peer(data: Dataset, queries: Sequence[Query], config: ServingConfig) -> Figures:
    """The sentence-transformers stack, as it comes, one request at a time."""
    from sentence_transformers import CrossEncoder, SentenceTransformer

    device = best_device().type
    bi_encoder = SentenceTransformer(config.backbone, device=device)
    cross_encoder = CrossEncoder(config.backbone, num_labels=1, device=device)
    titles = list(data.titles)
    corpus = bi_encoder.encode(titles, normalize_embeddings=True, show_progress_bar=False)
    index = load_faiss().IndexFlatIP(corpus.shape[1])
    index.add(corpus)
    title_of = dict(zip(data.item_ids, titles, strict=True))

    def recommend(query: Query) -> object:
        read = ", ".join(title_of[item_id] for item_id in query.history[-TITLES:])
        user = bi_encoder.encode([read], normalize_embeddings=True, show_progress_bar=False)
        _, rows = index.search(user, SHORTLIST)
        pairs = [(read, titles[row]) for row in rows[0].tolist()]
        scores = cross_encoder.predict(pairs, show_progress_bar=False)
        return rows[0][np.argsort(-scores)[:LIMIT]]

    times = []
    for query in queries[: config.peer_requests + 2]:
        started = time.perf_counter()
        recommend(query)
        times.append(1e3 * (time.perf_counter() - started))
    times = times[2:]
    return {
        "p50 ms": round(float(np.median(times)), 1),
        "requests a second": round(1e3 / float(np.mean(times)), 3),
    }


def steady(
    address: str,
    requests: Sequence[pb.RecommendRequest],
    capacity: float,
    config: ServingConfig,
    *,
    process: int,
    releases: Path,
    ids: Sequence[str],
) -> Figures:
    """At 80% of capacity, while releases take turns."""
    pause, stop = config.steady_seconds / (config.reloads + 1), threading.Event()
    memory = [resident(process)]

    def exchange() -> None:
        for number in range(1, config.reloads + 1):
            if stop.wait(pause):
                return
            memory.append(resident(process))
            go_live(releases, ids[number % len(ids)])

    changing = threading.Thread(target=exchange)
    changing.start()
    try:
        found = asyncio.run(at_rate(address, requests, 0.8 * capacity, config.steady_seconds))
    finally:
        stop.set()
        changing.join()
    memory.append(resident(process))
    with RecommenderClient(address, timeout=60) as client:
        live = client.retrieve(limit=1).versions["release"]
    settled = memory[2:] or memory
    return {
        **_outcome(found),
        "reloads": config.reloads,
        "the last is live": live == ids[config.reloads % len(ids)],
        "resident MiB": memory,
        "memory last / first reload": round(settled[-1] / settled[0], 3),
        "p99 / p50": round(found.percentile(99) / found.percentile(50), 2),
    }


def overload(
    address: str, requests: Sequence[pb.RecommendRequest], capacity: float, config: ServingConfig
) -> Figures:
    """Three times what it can, and how soon it is as before."""
    normal = asyncio.run(at_rate(address, requests, 0.8 * capacity, config.seconds))
    found = asyncio.run(at_rate(address, requests, 3 * capacity, config.seconds))
    ended, quick = time.perf_counter(), 0
    while quick < 10 and time.perf_counter() < ended + 60:
        one = asyncio.run(in_flight(address, requests, 1, 1e-3))
        quick = quick + 1 if one.answered and one.answered[-1] <= normal.percentile(99) else 0
    return {
        "normal": _outcome(normal),
        "overload": _outcome(found),
        "accepted p99 / normal p99": round(found.percentile(99) / normal.percentile(99), 2),
        "recovery s": round(time.perf_counter() - ended, 2),
    }


def _outcome(found: Outcome) -> Figures:
    refused = found.refused or [0.0]
    return {
        "answered a second": round(len(found.answered) / found.seconds, 1),
        "p50 ms": found.percentile(50),
        "p99 ms": found.percentile(99),
        "failed": len(found.failed),
        "failures": sorted(set(found.failed))[:5],
        "refused": len(found.refused),
        "refused p99 ms": round(float(np.percentile(refused, 99)), 2),
    }


def resident(process: int) -> int:
    """MiB of a process that are in memory."""
    status = Path(f"/proc/{process}/status").read_text().splitlines()
    (kib,) = [line.split()[1] for line in status if line.startswith("VmRSS")]
    return int(kib) >> 10


def measured(config: ServingConfig, root: Path, folder: Path) -> Figures:
    """Everything, of the finished stages of a dataset.

    Args:
        config: How long.
        root: Folder of the stages.
        folder: Where releases are made for the time being; on the same disk they cost no space.

    Raises:
        ArtifactError: a stage is missing, corrupt or does not fit.
    """
    releases = folder / root.name
    ids = two_releases(root, releases)
    data = load_dataset(root / "data").for_refit()
    users = data.cases("test").sample(USERS, 0).user_rows.tolist()
    queries = [replace(history_query(data, user, limit=LIMIT)) for user in users]
    requests = [_message(query) for query in queries]
    with running(releases) as (address, process):
        limits = Limits(shortlist=SHORTLIST)
        engine = Engine.load(root, EngineConfig(ranked=SHORTLIST, limits=limits))
        alone = one_at_a_time(engine, address, queries, config)
        del engine
        logger.info("one in flight: %s", alone)
        asyncio.run(in_flight(address, requests, IN_FLIGHT, 2))
        full = asyncio.run(in_flight(address, requests, IN_FLIGHT, config.seconds))
        capacity = len(full.answered) / full.seconds
        logger.info("%d in flight: %s", IN_FLIGHT, _outcome(full))
        loaded = overload(address, requests, capacity, config)
        logger.info("overload: %s", loaded)
        long = steady(
            address, requests, capacity, config, process=process, releases=releases, ids=ids
        )
        logger.info("steady: %s", long)
    other = peer(data, queries, config)
    return {
        "one in flight": alone,
        f"{IN_FLIGHT} in flight": _outcome(full),
        "peer": other,
        "p50: times as fast as the peer": round(other["p50 ms"] / alone["recommend p50 ms"], 1),
        "requests a second: times the peer's": round(capacity / other["requests a second"], 1),
        "80% of capacity": long,
        "3 × overload": loaded,
    }


def _message(query: Query) -> pb.RecommendRequest:
    return pb.RecommendRequest(
        history_item_ids=query.history,
        history_times=query.history_times,
        history_actions=query.history_actions,
        limit=query.limit,
    )


def as_table(title: str, figures: Figures) -> Table:
    """A row a figure; those of one kind below one another."""
    table = Table("", "", title=title)

    def add(name: str, value: Any) -> None:
        if isinstance(value, dict):
            for inner, figure in value.items():
                add(f"{name}: {inner}" if name else inner, figure)
        else:
            table.add_row(name, str(value))

    add("", figures)
    return table


def main() -> None:
    """Measure on the dataset that the command line names; print and write `serving.json`."""
    options = parser("python -m benchmarks.serving", "The server under load.", ServingConfig)
    options.add_argument(
        "--full", action="store_true", help="10 minutes with 20 reloads, and 60 s of overload"
    )
    parsed = options.parse_args()
    configure_logging()
    with reported_errors():
        arguments = options.instantiate(parsed)
        root, reports = folders(arguments)
        config = configuration(arguments, ServingConfig)
        if arguments.full:
            config = replace(config, seconds=60.0, steady_seconds=600.0, reloads=20)
        with tempfile.TemporaryDirectory(dir=root.parent) as folder:
            figures = measured(config, root, Path(folder))
        machine = f"{platform.machine()}, {os.cpu_count()} cores, client on the same"
        save_figures(reports, "serving", {"dataset": root.name, "machine": machine, **figures})
        Console(width=110).print(as_table(f"{root.name}: serving", figures))


if __name__ == "__main__":
    main()
