"""Ends a call without reading any message of it."""

from typing import Any

import grpc

from serving.server.interceptors.statuses import status_of, trailing_metadata
from serving.server.interceptors.wrapping import Handler


def refused(error: Exception, method: str) -> Handler:
    """A handler that ends every call with the status of an error.

    It has the shape of a stream, whatever the method's: gRPC would read a whole message, of any
    size it accepts, before it calls a handler of one message.

    Args:
        error: Why the call is refused.
        method: Name of the method, for the log.
    """

    async def refuse(_requests: Any, context: Any) -> bytes:
        status, message = status_of(error, method)
        await context.abort(status, message, trailing_metadata(error, status))
        raise AssertionError("abort always raises")

    return grpc.stream_unary_rpc_method_handler(refuse)
