"""Requests over gRPC at a pace of their own, whatever became of those before."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from grpc import aio

from shortlist_client.channel import OPTIONS
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb
from shortlist_client.proto.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub

TIMEOUT = 30.0
"""Deadline of a request, s: none but a server that fails misses it"""


@dataclass(kw_only=True)
class Outcome:
    """What became of requests."""

    answered: list[float] = field(default_factory=list)
    """Milliseconds of each that was answered"""
    refused: list[float] = field(default_factory=list)
    """Milliseconds of each that was refused"""
    failed: list[str] = field(default_factory=list)
    """What else was said"""
    seconds: float = 0.0

    def percentile(self, percent: float) -> float:
        """Milliseconds within which so many were answered."""
        return round(float(np.percentile(self.answered or [np.nan], percent)), 2)


async def at_rate(
    address: str, requests: Sequence[pb.RecommendRequest], rate: float, seconds: float
) -> Outcome:
    """Send so many a second, at random moments (Poisson)."""
    found, rng = Outcome(), np.random.default_rng(0)
    async with aio.insecure_channel(address, options=OPTIONS) as channel:
        stub: Any = RecommenderServiceStub(channel)
        started, when = time.perf_counter(), 0.0
        under_way: set[asyncio.Task[None]] = set()
        for number in range(int(rate * seconds)):
            when += rng.exponential(1 / rate)
            if (left := started + when - time.perf_counter()) > 0:
                await asyncio.sleep(left)
            task = asyncio.create_task(_ask(stub, requests[number % len(requests)], found))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)
        found.seconds = time.perf_counter() - started
    return found


async def in_flight(
    address: str, requests: Sequence[pb.RecommendRequest], count: int, seconds: float
) -> Outcome:
    """Keep so many under way."""
    found = Outcome()
    async with aio.insecure_channel(address, options=OPTIONS) as channel:
        stub: Any = RecommenderServiceStub(channel)
        started = time.perf_counter()

        async def one_after_another(first: int) -> None:
            number = first
            while time.perf_counter() < started + seconds:
                await _ask(stub, requests[number % len(requests)], found)
                number += count

        await asyncio.gather(*(one_after_another(first) for first in range(count)))
        found.seconds = time.perf_counter() - started
    return found


async def _ask(stub: Any, request: pb.RecommendRequest, found: Outcome) -> None:
    started = time.perf_counter()
    try:
        await stub.Recommend(request, timeout=TIMEOUT)
        found.answered.append(1e3 * (time.perf_counter() - started))
    except aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
            found.refused.append(1e3 * (time.perf_counter() - started))
        else:
            found.failed.append(f"{error.code().name}: {error.details()}")
