"""Ends a call with the status of the error that its method raised."""

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError
from grpc import aio
from typing_extensions import override

from serving.api.errors import MessageTooLargeError
from serving.server.interceptors.statuses import status_of, trailing_metadata
from shortlist_client.api.errors import InvalidRequestError

Method = Callable[[Any, Any], Awaitable[Any]]
StreamMethod = Callable[[Any, Any], AsyncGenerator[Any, None]]


class ErrorInterceptor(aio.ServerInterceptor):
    """Ends a call with the status of the error that its method raised."""

    @override
    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None:
            return handler
        name = handler_call_details.method
        codec = {
            "request_deserializer": _returning_errors(handler.request_deserializer),
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(_guarded(handler.unary_unary, name), **codec)
        if inspect.isasyncgenfunction(handler.stream_stream):
            streaming = _guarded_stream(handler.stream_stream, name)
            return grpc.stream_stream_rpc_method_handler(streaming, **codec)
        if handler.stream_unary is not None:  # `Check` of the health service
            checking = _guarded_reader(handler.stream_unary, name)
            return grpc.stream_unary_rpc_method_handler(checking, **codec)
        if inspect.isasyncgenfunction(handler.unary_stream):  # `Export`
            answering = _guarded_stream(handler.unary_stream, name, _checked)
            return grpc.unary_stream_rpc_method_handler(answering, **codec)
        return handler


def _returning_errors(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """The deserialiser, returning its error: gRPC would answer a raised one with its own status."""

    def read(wire: bytes) -> Any:
        try:
            return deserialize(wire)
        except (DecodeError, InvalidRequestError, MessageTooLargeError) as error:
            # its frames hold the message, and would until the next collection of cycles
            return error.with_traceback(None)

    return read


def _checked(request: Any) -> Any:
    if isinstance(request, DecodeError):
        raise InvalidRequestError("request must be a message of the contract, got other bytes")
    if isinstance(request, InvalidRequestError | MessageTooLargeError):
        raise request
    return request


async def _all_checked(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _checked(request)


def _guarded(method: Method, name: str) -> Method:
    async def call(request: Any, context: Any) -> Any:
        try:
            return await method(_checked(request), context)
        except (aio.AbortError, aio.InternalError):  # refused, or the caller has left
            raise
        except Exception as error:
            await _abort(error, context, name)

    return call


def _guarded_reader(method: Method, name: str) -> Method:
    async def call(requests: Any, context: Any) -> Any:
        return await method(_all_checked(requests), context)

    return _guarded(call, name)


def _guarded_stream(
    method: StreamMethod, name: str, checked: Callable[[Any], Any] = _all_checked
) -> StreamMethod:
    async def call(requests: Any, context: Any) -> AsyncGenerator[Any, None]:
        try:
            async with aclosing(method(checked(requests), context)) as responses:
                async for response in responses:
                    yield response
        except (aio.AbortError, aio.InternalError):  # refused, or the caller has left
            raise
        except Exception as error:
            await _abort(error, context, name)

    return call


async def _abort(error: Exception, context: Any, name: str) -> NoReturn:
    status, message = status_of(error, name)
    await context.abort(status, message, trailing_metadata(error, status))
    raise AssertionError("abort always raises")
