"""Limits the streams of a client: each may hold a message that is half sent."""

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import grpc
from grpc import aio
from typing_extensions import override

from serving.server.caller import caller_of
from serving.server.transport.quota import Quota

STREAMS, STREAMS_OF_A_CLIENT = 512, 128
"""Streams of requests or answers in progress, over all connections; without tokens, a host is a
client."""


class StreamCountInterceptor(aio.ServerInterceptor):
    """Refuses more streams than a client may have; must be inside the error interceptor."""

    def __init__(self, counts: Callable[[str], bool]) -> None:
        """Count no streams yet.

        Args:
            counts: Whether the streams of a method, `/service/method`, count.
        """
        self._counts = counts
        self._quota = Quota(STREAMS, of_one_host=STREAMS_OF_A_CLIENT)

    @override
    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler: Any = await continuation(handler_call_details)
        if handler is None or not self._counts(handler_call_details.method):
            return handler
        codec = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if inspect.isasyncgenfunction(handler.stream_stream):
            counted = self._counted(handler.stream_stream)
            return grpc.stream_stream_rpc_method_handler(counted, **codec)
        if inspect.isasyncgenfunction(handler.unary_stream):
            counted = self._counted(handler.unary_stream)
            return grpc.unary_stream_rpc_method_handler(counted, **codec)
        return handler

    def _counted(
        self, method: Callable[..., AsyncGenerator[Any]]
    ) -> Callable[..., AsyncIterator[Any]]:
        async def call(sent: Any, context: Any) -> AsyncIterator[Any]:
            with self._quota.one_for(caller_of(context)):
                async with aclosing(method(sent, context)) as responses:
                    async for response in responses:
                        yield response

        return call
