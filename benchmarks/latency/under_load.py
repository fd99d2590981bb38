"""A server at 80% of its capacity while releases alternate, and at three times its capacity."""

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.latency.load import Outcome, at_rate, in_flight
from benchmarks.latency.server_process import resident
from lineage.publishing import go_live
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb

Figures = dict[str, Any]
QUICK = 10
"""Consecutive answers within the normal 99th percentile after which the server has recovered"""
PATIENCE_SECONDS = 60.0
"""Longest wait for the recovery, s"""


@dataclass(frozen=True, kw_only=True)
class Served:
    """A running server and its capacity."""

    address: str
    process: int
    releases: Path
    ids: Sequence[str]
    """Ids of the releases that alternate; the first is live"""
    capacity: float
    """Requests per second that it answers with random arrivals"""


def steady(
    served: Served, requests: Sequence[pb.RecommendRequest], seconds: float, reloads: int
) -> Figures:
    """Figures at 80% of capacity while releases alternate."""
    pause, stop = seconds / (reloads + 1), threading.Event()
    memory = [resident(served.process)]

    def alternate() -> None:
        for number in range(1, reloads + 1):
            if stop.wait(pause):
                return
            memory.append(resident(served.process))
            go_live(served.releases, served.ids[number % len(served.ids)])

    reloader = threading.Thread(target=alternate)
    reloader.start()
    try:
        result = asyncio.run(at_rate(served.address, requests, 0.8 * served.capacity, seconds))
    finally:
        stop.set()
        reloader.join()
    memory.append(resident(served.process))
    with RecommenderClient(served.address, timeout=60) as client:
        live = client.retrieve(Shopper(), Wishes(limit=1)).versions["release"]
    settled = memory[2:] or memory
    return {
        **outcome(result),
        "reloads": reloads,
        "the last is live": live == served.ids[reloads % len(served.ids)],
        "resident MiB": memory,
        "memory last / first reload": round(settled[-1] / settled[0], 3),
        "p99 / p50": round(result.percentile(99) / result.percentile(50), 2),
    }


def overload(served: Served, requests: Sequence[pb.RecommendRequest], seconds: float) -> Figures:
    """Figures at three times the capacity, and the time of recovery."""
    normal = asyncio.run(at_rate(served.address, requests, 0.8 * served.capacity, seconds))
    overloaded = asyncio.run(at_rate(served.address, requests, 3 * served.capacity, seconds))
    ended, quick = time.perf_counter(), 0
    while quick < QUICK and time.perf_counter() < ended + PATIENCE_SECONDS:
        one = asyncio.run(in_flight(served.address, requests, 1, 1e-3))
        quick = quick + 1 if one.answered and one.answered[-1] <= normal.percentile(99) else 0
    return {
        "normal": outcome(normal),
        "overload": outcome(overloaded),
        "accepted p99 / normal p99": round(overloaded.percentile(99) / normal.percentile(99), 2),
        "recovery s": round(time.perf_counter() - ended, 2),
    }


def outcome(result: Outcome) -> Figures:
    """Counts and latencies of answered, refused and failed requests."""
    refused = result.refused or [0.0]
    return {
        "answered a second": round(len(result.answered) / result.seconds, 1),
        "p50 ms": result.percentile(50),
        "p99 ms": result.percentile(99),
        "failed": len(result.failed),
        "failures": sorted(set(result.failed))[:5],
        "refused": len(result.refused),
        "refused p99 ms": round(float(np.percentile(refused, 99)), 2),
    }
