"""Streams whose every message is answered, while later ones are worked on already."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from serving.api.errors import UnavailableError

Request = TypeVar("Request")
Response = TypeVar("Response")
AHEAD = 8
"""Messages of one stream that are worked on at once."""


async def answered(
    requests: AsyncIterator[Request],
    work: Callable[[Request], Awaitable[Response]],
    *,
    draining: asyncio.Event,
    in_order: bool = True,
) -> AsyncIterator[Response]:
    """Answer every request of a stream.

    Work on them begins in their order. No more are read than are worked on, so that who sends too
    fast waits; who goes away takes the unfinished ones along.

    Args:
        requests: What comes in.
        work: What is done with one.
        draining: Once set, nothing more is read; what was read is answered.
        in_order: Whether answers come in the order of the requests, or each as soon as it is there.

    Raises:
        UnavailableError: the stream was cut short by `draining`.
        Exception: whatever `work` raised; what came before it was answered.
    """
    begun: deque[asyncio.Task[Response]] = deque()
    stopped = asyncio.create_task(draining.wait())
    reading: asyncio.Task[Request | None] | None = _next(requests)
    cut = False
    try:
        while reading or begun:
            waiting: set[asyncio.Task[Any]] = set(_next_done(begun, in_order=in_order))
            if reading and len(begun) < AHEAD:
                waiting |= {reading, stopped}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if reading and reading.done() and len(begun) < AHEAD:
                request = reading.result()
                reading = None if request is None else _next(requests)
                if request is not None:
                    begun.append(asyncio.create_task(_begin(work, request)))
            elif reading and stopped.done():
                reading.cancel()
                reading, cut = None, True
            while done := [task for task in _next_done(begun, in_order=in_order) if task.done()]:
                begun.remove(done[0])
                yield done[0].result()
        if cut:
            raise UnavailableError("the server stops; what was not acknowledged may be sent again")
    finally:
        for task in (reading, stopped, *begun):
            if task is not None:
                task.cancel()


def _next_done(
    begun: "deque[asyncio.Task[Response]]", *, in_order: bool
) -> list["asyncio.Task[Response]"]:
    """Those of which one may be answered next."""
    return list(begun)[:1] if in_order else list(begun)


def _next(requests: AsyncIterator[Request]) -> "asyncio.Task[Request | None]":
    async def read() -> Request | None:
        return await anext(requests, None)

    return asyncio.create_task(read())


async def _begin(work: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
    return await work(request)
