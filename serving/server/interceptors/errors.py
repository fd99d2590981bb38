"""Turns exceptions into gRPC statuses, by one table."""

import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc import aio
from grpc_status import rpc_status
from typing_extensions import override

from serving.api.errors import (
    OtherReleaseError,
    PreconditionError,
    QueueFullError,
    UnavailableError,
    UnknownItemError,
    UnknownReleaseError,
)
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.wire.recommend import DOMAIN, OTHER_RELEASE

logger = logging.getLogger(__name__)

STATUS_OF: Mapping[type[Exception], grpc.StatusCode] = {
    InvalidRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    UnknownItemError: grpc.StatusCode.NOT_FOUND,
    OtherReleaseError: grpc.StatusCode.FAILED_PRECONDITION,
    UnknownReleaseError: grpc.StatusCode.NOT_FOUND,
    PreconditionError: grpc.StatusCode.FAILED_PRECONDITION,
    UnavailableError: grpc.StatusCode.UNAVAILABLE,
    TimeoutError: grpc.StatusCode.DEADLINE_EXCEEDED,
    QueueFullError: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
"""What a caller can mend, told with its message; anything else is internal."""

Trailing = tuple[tuple[str, str | bytes], ...]
Method = Callable[[Any, Any], Awaitable[Any]]
StreamMethod = Callable[[Any, Any], AsyncIterator[Any]]


class ErrorInterceptor(aio.ServerInterceptor):
    """Answers what a method raises with its status; of the unknown it tells nothing."""

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
            "request_deserializer": _or_why_not(handler.request_deserializer),
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(_guarded(handler.unary_unary, name), **codec)
        if inspect.isasyncgenfunction(handler.stream_stream):
            streaming = _guarded_stream(handler.stream_stream, name)
            return grpc.stream_stream_rpc_method_handler(streaming, **codec)
        if inspect.iscoroutinefunction(handler.unary_stream):  # health's
            watching = _guarded(handler.unary_stream, name)
            return grpc.unary_stream_rpc_method_handler(watching, **codec)
        return handler


def _or_why_not(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Reads a message, or returns why it cannot: what is raised here, gRPC answers itself."""

    def read(wire: bytes) -> Any:
        try:
            return deserialize(wire)
        except DecodeError as error:
            return error

    return read


def _readable(request: Any) -> Any:
    if isinstance(request, DecodeError):
        raise InvalidRequestError("request must be a message of the contract, got other bytes")
    return request


async def _all_readable(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _readable(request)


def _guarded(method: Method, name: str) -> Method:
    async def call(request: Any, context: Any) -> Any:
        try:
            return await method(_readable(request), context)
        except aio.AbortError:
            raise
        except Exception as error:
            await _abort(error, context, name)

    return call


def _guarded_stream(method: StreamMethod, name: str) -> StreamMethod:
    async def call(requests: Any, context: Any) -> AsyncIterator[Any]:
        try:
            async for response in method(_all_readable(requests), context):
                yield response
        except aio.AbortError:
            raise
        except Exception as error:
            await _abort(error, context, name)

    return call


async def _abort(error: Exception, context: Any, name: str) -> NoReturn:
    status, message = told(error, name)
    await context.abort(status, message, _details(error, status))
    raise AssertionError("abort always raises")


def told(error: Exception, name: str) -> tuple[grpc.StatusCode, str]:
    """Status and message of an error; what no caller can mend is for the log."""
    for kind, status in STATUS_OF.items():
        if isinstance(error, kind):
            return status, str(error)
    logger.error("%s failed", name, exc_info=error)
    return grpc.StatusCode.INTERNAL, "internal error"


def _details(error: Exception, status: grpc.StatusCode) -> Trailing:
    """What a program can read of an error, beside its message."""
    if isinstance(error, QueueFullError):
        return retry_metadata(status, str(error), error.retry_seconds)
    if isinstance(error, OtherReleaseError):
        live = {} if error.live is None else {"live": error.live}
        info = error_details_pb2.ErrorInfo(reason=OTHER_RELEASE, domain=DOMAIN, metadata=live)
        return _rich_metadata(status, str(error), info)
    return ()


def retry_metadata(status: grpc.StatusCode, message: str, seconds: float) -> Trailing:
    """Trailing metadata that says, as google.rpc has it, when to ask again.

    Args:
        status: Of the answer.
        message: Of the answer.
        seconds: Until it is worth asking again.
    """
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromNanoseconds(int(1e9 * seconds))
    return _rich_metadata(status, message, retry)


def _rich_metadata(status: grpc.StatusCode, message: str, detail: Any) -> Trailing:
    rich = status_pb2.Status(code=status.value[0], message=message)
    rich.details.add().Pack(detail)
    return tuple(rpc_status.to_status(rich).trailing_metadata)
