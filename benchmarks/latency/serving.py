"""`python -m benchmarks.latency.serving`: the server under load, against the usual stack.

The server runs in a separate process and is asked over loopback. The peer runs in this process:
sentence-transformers with its default precision (fp32), a bi-encoder over the last titles, FAISS's
flat index, and a CrossEncoder over the items found. The throughput of 32 waiting callers sets the
rate of a run with random arrivals; the server's capacity is the answers per second of that run.
The server is then loaded to 80% of its capacity while releases alternate, and to three times it.
"""

import asyncio
import logging
import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.command import configuration, folders, parser, save_figures
from benchmarks.latency.load import at_rate, in_flight
from benchmarks.latency.server_process import SHORTLIST, running, two_releases
from benchmarks.latency.under_load import Figures, Served, outcome, overload, steady
from benchmarks.latency.usual_stack import LIMIT, WARM, peer
from benchmarks.quality.cascade_lists import case_shoppers
from dataset.arrays import load_dataset
from lineage.cli import configure_logging, reported_errors
from lineage.stages import DATA
from serving.api.limits import Limits
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb
from shortlist_client.wire.request import shopper_message, wishes_message

if TYPE_CHECKING:
    from serving.engine.engine import Engine

logger = logging.getLogger("benchmarks.latency.serving")
IN_FLIGHT, USERS = 32, 200
WARM_REQUESTS = 20
"""Requests of each kind that are not counted"""
WISHES = Wishes(limit=LIMIT)


@dataclass(frozen=True, kw_only=True)
class ServingConfig:
    """Number of requests and duration of each measurement."""

    backbone: str = ".cache/all-MiniLM-L6-v2"
    """Backbone of the peer: local folder, or hub name with the commit of its revision."""
    requests: int = 400
    """Requests with one in flight."""
    peer_requests: int = 20
    """Requests to the peer."""
    seconds: float = 10.0
    """Duration with 32 in flight, with random arrivals, and of overload, s."""
    steady_seconds: float = 60.0
    """Duration at 80% of capacity, s."""
    reloads: int = 2
    """Releases that go live during the run at 80% of capacity."""

    def __post_init__(self) -> None:
        for name in ("requests", "peer_requests", "seconds", "steady_seconds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.reloads < 0:
            raise ValueError(f"reloads must not be negative, got {self.reloads}")


def one_at_a_time(
    engine: "Engine", address: str, shoppers: Sequence[Shopper], config: ServingConfig
) -> Figures:
    """Latency with one request in flight, over gRPC and of the bare engine, alternating."""
    times: dict[str, list[float]] = {"recommend": [], "retrieve": [], "bare engine": []}

    def timed(name: str, call: Callable[[], object]) -> None:
        started = time.perf_counter()
        call()
        times[name].append(1e3 * (time.perf_counter() - started))

    with RecommenderClient(address, timeout=60) as client:
        for number in range(config.requests + WARM_REQUESTS):
            shopper = shoppers[number % len(shoppers)]
            timed("recommend", lambda: client.recommend(shopper, WISHES))  # noqa: B023  # called now
            timed("retrieve", lambda: client.retrieve(shopper, WISHES))  # noqa: B023  # called now
            timed("bare engine", lambda: engine.recommend(shopper, WISHES))  # noqa: B023  # called now
    percentiles = {
        name: np.percentile(milliseconds[WARM_REQUESTS:], (50, 99))
        for name, milliseconds in times.items()
    }
    figures = {
        f"{name} p{percent} ms": round(float(value), 2)
        for name, values in percentiles.items()
        for percent, value in zip((50, 99), values, strict=True)
    }
    overhead = percentiles["recommend"][0] - percentiles["bare engine"][0]
    return {**figures, "overhead p50 ms": round(float(overhead), 2)}


def measured(config: ServingConfig, root: Path, folder: Path) -> Figures:
    """All figures of the finished stages of a dataset.

    Args:
        config: Numbers of requests and durations.
        root: Folder of the stages.
        folder: Folder for temporary releases; on the disk of the stages they take no space.

    Raises:
        ArtifactError: a stage is missing, corrupt or does not fit.
    """
    from serving.engine.engine import Engine, EngineConfig

    releases = folder / root.name
    ids = two_releases(root, releases)
    data = load_dataset(root / DATA).for_refit()
    shoppers = case_shoppers(data, data.cases("test").sample(USERS, 0))
    requests = [_message(shopper) for shopper in shoppers]
    with running(releases) as (address, process):
        limits = Limits(shortlist=SHORTLIST)
        engine = Engine.load(root, EngineConfig(ranked=SHORTLIST, limits=limits))
        alone = one_at_a_time(engine, address, shoppers, config)
        del engine
        logger.info("one in flight: %s", alone)
        asyncio.run(in_flight(address, requests, IN_FLIGHT, 2))
        full = asyncio.run(in_flight(address, requests, IN_FLIGHT, config.seconds))
        throughput = len(full.answered) / full.seconds
        logger.info("%d in flight: %s", IN_FLIGHT, outcome(full))
        arriving = asyncio.run(at_rate(address, requests, throughput, config.seconds))
        logger.info("%.0f a second at random: %s", throughput, outcome(arriving))
        capacity = len(arriving.answered) / arriving.seconds
        served = Served(
            address=address, process=process, releases=releases, ids=ids, capacity=capacity
        )
        loaded = overload(served, requests, config.seconds)
        logger.info("overload: %s", loaded)
        steadily = steady(served, requests, config.steady_seconds, config.reloads)
        logger.info("steady: %s", steadily)
    other = peer(data, shoppers[: config.peer_requests + WARM], config.backbone)
    return {
        "one in flight": alone,
        f"{IN_FLIGHT} in flight": outcome(full),
        "as many at random": outcome(arriving),
        "peer": other,
        "p50: times as fast as the peer": round(other["p50 ms"] / alone["recommend p50 ms"], 1),
        "requests a second: times the peer's": round(throughput / other["requests a second"], 1),
        "80% of capacity": steadily,
        "3 × overload": loaded,
    }


def _message(shopper: Shopper) -> pb.RecommendRequest:
    return pb.RecommendRequest(shopper=shopper_message(shopper), wishes=wishes_message(WISHES))


def as_table(title: str, figures: Figures) -> Table:
    """Table with one row per figure; nested figures follow one another."""
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
    """Measure on a dataset, print a table, and write `serving.json`."""
    options = parser(
        "python -m benchmarks.latency.serving", "The server under load.", ServingConfig
    )
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
