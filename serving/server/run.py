"""Runs a server until it is told to stop, or until it stops by itself."""

import asyncio
import gc
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from serving.server.library_logs import hide_faults_of_callers
from serving.server.server import Server
from serving.server.transport.supervision import ServerEndedError

logger = logging.getLogger(__name__)
T = TypeVar("T")
ENDED = 70
"""Exit status of a process whose server ended by itself: a fault in the software (`sysexits.h`)."""
EXIT_SECONDS = 5.0
"""Time for such a process to close its stores."""


async def serve(make: Callable[[], Server]) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    Args:
        make: Makes the server, which gRPC binds to the running event loop.

    Raises:
        ValueError: the port is taken, or the options contradict each other.
        ServerEndedError: gRPC stopped serving by itself. The process must end; if other threads
            keep it alive, it does so within `EXIT_SECONDS`.
        Exception: the error of loading.
    """
    hide_faults_of_callers()
    loop, stopped, hangup = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    loop.add_signal_handler(signal.SIGHUP, hangup.set)  # at once: by default it ends the process
    async with (
        make() as server,
        _in_background(server.ended()) as ended,
        _in_background(stopped.wait()) as told,
        _in_background(server.ready()) as loaded,
    ):
        await _first_of(loaded, told, ended)
        if loaded.done():
            loaded.result()
            gc.freeze()  # scanning the loaded release would stop all requests for 0.2 s
            if server.reloader is not None:
                follow = server.reloader.follow(
                    server.engine, every=server.config.reload_seconds, asked=hangup
                )
                async with _in_background(follow):
                    await _first_of(told, ended)
            else:
                await _first_of(told, ended)
        if ended.done():
            _end_soon()
            raise ServerEndedError(ended.result())
        logger.info("draining for at most %g s", server.config.grace_seconds)
    logger.info("stopped")


async def _first_of(*tasks: asyncio.Task[Any]) -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


def _end_soon() -> None:
    """End the process even if a thread of it, such as one that loads a release, goes on."""
    timer = threading.Timer(EXIT_SECONDS, os._exit, (ENDED,))
    timer.daemon = True
    timer.start()


@asynccontextmanager
async def _in_background(work: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """Work until the block ends."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait({task})
