"""Work in pieces: between two of them the caller may do other work, and deadlines are compared."""

import time
from collections.abc import Generator
from typing import TypeVar

from serving.engine.latency import LatencyEstimator

MARGIN = 0.005
"""Time to serialise and send an answer, seconds"""
Result = TypeVar("Result")
Pieces = Generator[float, None, Result]
"""Work that yields, before each piece, the share of the work that is done; returns the result"""
Paused = Generator[None, None, Result]
"""Work that yields None where the caller may do other work; returns the result"""


def within_deadline(
    work: Pieces[Result], deadline: float, latency: LatencyEstimator, size: int
) -> Paused[tuple[Result, float] | None]:
    """Do work in pieces as long as the deadline leaves time for the rest of it.

    Args:
        work: The work.
        deadline: Deadline of the answer, seconds of `time.monotonic`.
        latency: Estimates the time of the whole work; learns from it.
        size: Size of the work, in the unit of the estimator.

    Returns:
        The result and the time of the pieces, seconds, without the pauses. None if the deadline
        left no time.
    """
    seconds = 0.0
    while True:
        started = time.perf_counter()
        try:
            done = next(work)
        except StopIteration as finished:
            seconds += time.perf_counter() - started
            latency.record(size, seconds)
            return finished.value, seconds
        seconds += time.perf_counter() - started
        yield
        left = (1 - done) * latency.estimate(size)
        if deadline < time.monotonic() + MARGIN + left:
            work.close()
            return None
