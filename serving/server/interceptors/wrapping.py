"""Wraps a gRPC method of any kind in a context manager."""

import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
from grpc import aio


@dataclass
class Call:
    """A call in progress."""

    context: Any
    request: Any = None
    """The request; None if requests are streamed"""
    response: Any = field(default=None)
    """The response, None until it is ready; always None if responses are streamed"""
    stages: Mapping[str, float] | None = None
    """Times by stage that the response withholds from the client, ms; None if it withholds none"""


CALL: ContextVar[Call | None] = ContextVar("call", default=None)
"""The call in progress, inside `wrap`"""


Wrapper = Callable[[Call], AbstractAsyncContextManager[None]]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic only in the type stubs


def wrap(handler: Handler, manager: Wrapper) -> Handler:
    """The method inside a context manager, which sees the errors that the method raises."""
    kinds = {
        (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler, _unary),
        (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler, _unary),
        (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler, _streaming),
        (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler, _streaming),
    }
    name, make, inside = kinds[bool(handler.request_streaming), bool(handler.response_streaming)]
    method = getattr(handler, name)
    return make(
        inside(method, manager, streamed=bool(handler.request_streaming)),
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )


def _unary(method: Callable[..., Any], manager: Wrapper, *, streamed: bool) -> Callable[..., Any]:
    async def call(request: Any, context: Any) -> Any:
        made = Call(context=context, request=None if streamed else request)
        CALL.set(made)
        try:
            async with manager(made):
                made.response = await method(request, context)
                return made.response
        except aio.AbortError as error:
            del request, made
            raise _forgetful(error) from None

    return call


def _streaming(
    method: Callable[..., Any], manager: Wrapper, *, streamed: bool
) -> Callable[..., Any]:
    # Writes to the context: gRPC would leave a generator, at the yield, to the garbage collector
    # when its caller cancels, and the context manager would end late and in another task.
    async def call(request: Any, context: Any) -> None:
        made = Call(context=context, request=None if streamed else request)
        CALL.set(made)
        try:
            async with manager(made):
                result = method(request, context)
                if inspect.isawaitable(result):  # a method that writes to the context itself
                    await result
                    return
                async with aclosing(result) as responses:
                    async for response in responses:
                        await context.write(response)
        except aio.AbortError as error:
            del request, made
            raise _forgetful(error) from None

    return call


def _forgetful(error: aio.AbortError) -> aio.AbortError:
    """The error without its frames. gRPC stores it with the call, which the frames refer to.

    Messages of refused calls would pile up until Python's next full collection of cycles.
    """
    error.__context__ = None
    return error.with_traceback(None)
