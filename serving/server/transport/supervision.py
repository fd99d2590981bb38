"""Notices that gRPC stopped serving although nobody asked it to."""

from typing import Any

from grpc import aio

POLL_SECONDS = 0.2
"""Time between two looks at the server."""


class ServerEndedError(RuntimeError):
    """The server ended by itself: the process must end too, so that its supervisor restarts it."""


async def serving_ended(server: aio.Server) -> str:
    """Wait until a started server serves no more; return the reason.

    gRPC's `wait_for_termination` alone does not do: it also waits for the calls in flight. After a
    fault in the server's loop the port is closed, and one open stream would hide that for ever.
    """
    core: Any = getattr(server, "_server", None)
    try:
        while core.is_running():
            if not await server.wait_for_termination(POLL_SECONDS):
                break
    except Exception as error:  # gRPC raises here whatever ended its loop
        return repr(error)
    return "its loop ended"
