"""A server at four fifths of what it can while releases take turns, and at three times of it."""

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
"""Answers in a row, each as fast as before, after which it has recovered"""
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Served:
    """A running server, and what it can."""

    address: str
    process: int
    releases: Path
    ids: Sequence[str]
    """Of the releases that take turns; the first is live"""
    capacity: float
    """Requests a second that it answers where they come at random"""


def steady(
    served: Served, requests: Sequence[pb.RecommendRequest], seconds: float, reloads: int
) -> Figures:
    """At 80% of capacity, while releases take turns."""
    pause, stop = seconds / (reloads + 1), threading.Event()
    memory = [resident(served.process)]

    def exchange() -> None:
        for number in range(1, reloads + 1):
            if stop.wait(pause):
                return
            memory.append(resident(served.process))
            go_live(served.releases, served.ids[number % len(served.ids)])

    changing = threading.Thread(target=exchange)
    changing.start()
    try:
        found = asyncio.run(at_rate(served.address, requests, 0.8 * served.capacity, seconds))
    finally:
        stop.set()
        changing.join()
    memory.append(resident(served.process))
    with RecommenderClient(served.address, timeout=60) as client:
        live = client.retrieve(Shopper(), Wishes(limit=1)).versions["release"]
    settled = memory[2:] or memory
    return {
        **outcome(found),
        "reloads": reloads,
        "the last is live": live == served.ids[reloads % len(served.ids)],
        "resident MiB": memory,
        "memory last / first reload": round(settled[-1] / settled[0], 3),
        "p99 / p50": round(found.percentile(99) / found.percentile(50), 2),
    }


def overload(served: Served, requests: Sequence[pb.RecommendRequest], seconds: float) -> Figures:
    """Three times what it can, and how soon it is as before."""
    normal = asyncio.run(at_rate(served.address, requests, 0.8 * served.capacity, seconds))
    found = asyncio.run(at_rate(served.address, requests, 3 * served.capacity, seconds))
    ended, quick = time.perf_counter(), 0
    while quick < QUICK and time.perf_counter() < ended + PATIENCE_SECONDS:
        one = asyncio.run(in_flight(served.address, requests, 1, 1e-3))
        quick = quick + 1 if one.answered and one.answered[-1] <= normal.percentile(99) else 0
    return {
        "normal": outcome(normal),
        "overload": outcome(found),
        "accepted p99 / normal p99": round(found.percentile(99) / normal.percentile(99), 2),
        "recovery s": round(time.perf_counter() - ended, 2),
    }


def outcome(found: Outcome) -> Figures:
    """How many were answered, refused and failed, and in which time."""
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
