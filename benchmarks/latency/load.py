"""Sends requests over gRPC at a fixed rate, whatever the answers, or with fixed concurrency."""

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
"""Deadline of a request, s; only a broken server misses it"""


@dataclass(kw_only=True)
class Outcome:
    """Latencies and errors of requests."""

    answered: list[float] = field(default_factory=list)
    """Latencies of the answered requests, ms"""
    refused: list[float] = field(default_factory=list)
    """Latencies of the refused requests (RESOURCE_EXHAUSTED), ms"""
    failed: list[str] = field(default_factory=list)
    """Error messages of all other requests"""
    seconds: float = 0.0
    """Duration of the measurement, s"""

    def percentile(self, percent: float) -> float:
        """Percentile of the answered requests' latencies, ms."""
        return round(float(np.percentile(self.answered or [np.nan], percent)), 2)


async def at_rate(
    address: str, requests: Sequence[pb.RecommendRequest], rate: float, seconds: float
) -> Outcome:
    """Send `rate` requests per second, at random times (Poisson)."""
    result, rng = Outcome(), np.random.default_rng(0)
    async with aio.insecure_channel(address, options=OPTIONS) as channel:
        stub: Any = RecommenderServiceStub(channel)
        started, when = time.perf_counter(), 0.0
        pending: set[asyncio.Task[None]] = set()
        for number in range(int(rate * seconds)):
            when += rng.exponential(1 / rate)
            if (delay := started + when - time.perf_counter()) > 0:
                await asyncio.sleep(delay)
            task = asyncio.create_task(_ask(stub, requests[number % len(requests)], result))
            pending.add(task)
            task.add_done_callback(pending.discard)
        await asyncio.gather(*pending)
        result.seconds = time.perf_counter() - started
    return result


async def in_flight(
    address: str, requests: Sequence[pb.RecommendRequest], count: int, seconds: float
) -> Outcome:
    """Keep `count` requests in flight."""
    result = Outcome()
    async with aio.insecure_channel(address, options=OPTIONS) as channel:
        stub: Any = RecommenderServiceStub(channel)
        started = time.perf_counter()

        async def one_after_another(first: int) -> None:
            number = first
            while time.perf_counter() < started + seconds:
                await _ask(stub, requests[number % len(requests)], result)
                number += count

        await asyncio.gather(*(one_after_another(first) for first in range(count)))
        result.seconds = time.perf_counter() - started
    return result


async def _ask(stub: Any, request: pb.RecommendRequest, result: Outcome) -> None:
    started = time.perf_counter()
    try:
        await stub.Recommend(request, timeout=TIMEOUT)
        result.answered.append(1e3 * (time.perf_counter() - started))
    except aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
            result.refused.append(1e3 * (time.perf_counter() - started))
        else:
            result.failed.append(f"{error.code().name}: {error.details()}")
