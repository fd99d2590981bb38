"""The gRPC status of every error, in one table."""

import logging
from collections.abc import Mapping
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from serving.api.errors import (
    LoadingError,
    MessageTooLargeError,
    OtherReleaseError,
    PreconditionError,
    QueueFullError,
    UnavailableError,
    UnknownItemError,
    UnknownReleaseError,
)
from serving.server.access.errors import (
    PermissionDeniedError,
    TooManyRequestsError,
    UnauthenticatedError,
)
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.errors import DOMAIN, OTHER_RELEASE

logger = logging.getLogger(__name__)


class UnknownMethodError(LookupError):
    """The server does not have the method."""

    def __init__(self) -> None:
        super().__init__("Method not found!")  # gRPC's own words


STATUS_OF: Mapping[type[Exception], grpc.StatusCode] = {
    InvalidRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    UnknownItemError: grpc.StatusCode.NOT_FOUND,
    UnknownReleaseError: grpc.StatusCode.NOT_FOUND,
    UnknownMethodError: grpc.StatusCode.UNIMPLEMENTED,
    OtherReleaseError: grpc.StatusCode.FAILED_PRECONDITION,
    PreconditionError: grpc.StatusCode.FAILED_PRECONDITION,
    UnauthenticatedError: grpc.StatusCode.UNAUTHENTICATED,
    PermissionDeniedError: grpc.StatusCode.PERMISSION_DENIED,
    MessageTooLargeError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    QueueFullError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    TooManyRequestsError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    TimeoutError: grpc.StatusCode.DEADLINE_EXCEEDED,
    UnavailableError: grpc.StatusCode.UNAVAILABLE,
}
"""Errors that a caller can act on; the caller gets their messages. All others are INTERNAL."""

MESSAGE_BYTES = 1024
"""Longest message of a status. gRPC drops a status whose headers exceed 8 KiB, and says
RESOURCE_EXHAUSTED instead; an encoded byte takes up to three."""

Trailing = tuple[tuple[str, str | bytes], ...]


def status_of(error: Exception, method: str) -> tuple[grpc.StatusCode, str]:
    """Status and message, within `MESSAGE_BYTES`, of an error.

    Logs an unknown error and hides its message.

    Args:
        error: Error that the method raised.
        method: Name of the method, for the log.
    """
    for kind, status in STATUS_OF.items():
        if isinstance(error, kind):
            return status, shortened(str(error))
    logger.error("%s failed", method, exc_info=error)
    return grpc.StatusCode.INTERNAL, "internal error"


def trailing_metadata(error: Exception, status: grpc.StatusCode) -> Trailing:
    """Details of an error that a program can act on, as a `google.rpc.Status`; maybe none."""
    detail: Any
    if isinstance(error, QueueFullError | TooManyRequestsError | LoadingError):
        detail = error_details_pb2.RetryInfo()
        detail.retry_delay.FromNanoseconds(int(1e9 * error.retry_seconds))
    elif isinstance(error, OtherReleaseError):
        live = {} if error.live is None else {"live": error.live}
        detail = error_details_pb2.ErrorInfo(reason=OTHER_RELEASE, domain=DOMAIN, metadata=live)
    else:
        return ()
    rich = status_pb2.Status(code=status.value[0], message=shortened(str(error)))
    rich.details.add().Pack(detail)
    return tuple(rpc_status.to_status(rich).trailing_metadata)


def shortened(message: str) -> str:
    """The message within `MESSAGE_BYTES`, cut between two characters and marked by an ellipsis."""
    wire = message.encode(errors="replace")
    if len(wire) <= MESSAGE_BYTES:
        return wire.decode()
    return wire[: MESSAGE_BYTES - len("…".encode())].decode(errors="ignore") + "…"
