"""Answers every message of a stream; works on several messages at once."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from serving.api.errors import UnavailableError

Request = TypeVar("Request")
Response = TypeVar("Response")
AT_ONCE = 8
"""Maximum number of messages of one stream in progress."""


async def answered(
    requests: AsyncIterator[Request],
    work: Callable[[Request], Awaitable[Response]],
    *,
    draining: asyncio.Event,
    in_order: bool = True,
) -> AsyncIterator[Response]:
    """Answer every request of a stream.

    Work on the requests starts in their order. Only `AT_ONCE` requests are read ahead, so a fast
    sender has to wait. When the caller leaves, its unfinished requests are cancelled.

    Args:
        requests: Requests of the stream.
        work: Answers one request.
        draining: Once set, no more requests are read; the requests read before are answered.
        in_order: Whether answers come in the order of the requests, or each as soon as it is ready.

    Raises:
        UnavailableError: the stream was cut short by `draining`.
        Exception: the error of `work` or of reading, after the answers to earlier requests.
    """
    begun: deque[asyncio.Task[Response]] = deque()
    stopped = asyncio.create_task(draining.wait())
    reading: asyncio.Task[Request | None] | None = _next(requests)
    cut, failed = False, None
    try:
        while reading or begun:
            waiting: set[asyncio.Task[Any]] = set(_next_done(begun, in_order=in_order))
            if reading and len(begun) < AT_ONCE:
                waiting |= {reading, stopped}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if reading and reading.done() and len(begun) < AT_ONCE:
                request, failed = None, reading.exception()
                if failed is None:
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
        if failed is not None:
            raise failed
        if cut:
            raise UnavailableError("the server is stopping; send what was not acknowledged again")
    finally:
        for task in (reading, stopped, *begun):
            if task is not None:
                task.cancel()


def _next_done(
    begun: "deque[asyncio.Task[Response]]", *, in_order: bool
) -> list["asyncio.Task[Response]"]:
    """The requests of which one may be answered next."""
    return list(begun)[:1] if in_order else list(begun)


def _next(requests: AsyncIterator[Request]) -> "asyncio.Task[Request | None]":
    async def read() -> Request | None:
        return await anext(requests, None)

    return asyncio.create_task(read())


async def _begin(work: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
    return await work(request)
