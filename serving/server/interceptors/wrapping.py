"""Wraps a gRPC method of any kind in what happens before and after it."""

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc


@dataclass
class Call:
    """A call while it is answered."""

    context: Any
    request: Any = None
    """The message; None where they come in a stream"""
    response: Any = field(default=None)
    """The message, once it is there; None where they go in a stream"""


Wrapper = Callable[[Call], AbstractAsyncContextManager[None]]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic in its types alone


def wrap(handler: Handler, manager: Wrapper) -> Handler:
    """The same method inside a context manager; what the method raises passes through it."""
    kinds = {
        (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler, _one),
        (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler, _one),
        (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler, _many),
        (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler, _many),
    }
    name, make, wrap = kinds[bool(handler.request_streaming), bool(handler.response_streaming)]
    method = getattr(handler, name)
    return make(
        wrap(method, manager, streamed=bool(handler.request_streaming)),
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )


def _one(method: Callable[..., Any], manager: Wrapper, *, streamed: bool) -> Callable[..., Any]:
    async def call(request: Any, context: Any) -> Any:
        made = Call(context=context, request=None if streamed else request)
        async with manager(made):
            made.response = await method(request, context)
            return made.response

    return call


def _many(method: Callable[..., Any], manager: Wrapper, *, streamed: bool) -> Callable[..., Any]:
    async def call(request: Any, context: Any) -> AsyncIterator[Any]:
        async with manager(Call(context=context, request=None if streamed else request)):
            result = method(request, context)
            if inspect.isawaitable(result):  # it writes to the context itself
                await result
                return
            async for response in result:
                yield response

    return call
