"""Errors of calls.

grpc.RpcError: any failed call, with `code()` and `details()`.
    OverloadedError: RESOURCE_EXHAUSTED when a retry helps; says when.
    ReleaseChangedError: FAILED_PRECONDITION; names the live release.
"""

from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

OTHER_RELEASE, DOMAIN = "OTHER_RELEASE", "recommender.v1"
"""Reason and domain of the `google.rpc.ErrorInfo` of a request that names another release."""


class _RefusedError(grpc.RpcError):
    """An error with a field that a program can act on."""

    def __init__(self, error: Any) -> None:
        super().__init__(error.details())
        self._code: grpc.StatusCode = error.code()
        self._details: str = error.details()

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle, so that a process can hand the error to another one."""
        return _restored, (type(self), self.args, vars(self))

    def code(self) -> grpc.StatusCode:
        """The gRPC status."""
        return self._code

    def details(self) -> str:
        """The message of the server."""
        return self._details


class OverloadedError(_RefusedError):
    """Too many requests wait at the server."""

    def __init__(self, error: Any, retry_seconds: float) -> None:
        """Take the error and the time after which to retry."""
        super().__init__(error)
        self.retry_seconds = retry_seconds


class ReleaseChangedError(_RefusedError):
    """The request names a release that is not live."""

    def __init__(self, error: Any, live: str | None) -> None:
        """Take the error and the live release; None if it was never published."""
        super().__init__(error)
        self.live = live


def _restored(kind: type[_RefusedError], args: tuple[Any, ...], state: dict[str, Any]) -> Any:
    error = kind.__new__(kind, *args)
    vars(error).update(state)
    return error


def precise_error(error: Any) -> grpc.RpcError:
    """The error as OverloadedError or ReleaseChangedError if its details say so, else as it is."""
    status = rpc_status.from_call(error)
    for detail in () if status is None else status.details:
        retry, info = error_details_pb2.RetryInfo(), error_details_pb2.ErrorInfo()
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and detail.Unpack(retry):
            return OverloadedError(error, retry.retry_delay.ToNanoseconds() / 1e9)
        if detail.Unpack(info) and info.reason == OTHER_RELEASE:
            return ReleaseChangedError(error, info.metadata.get("live"))
    known: grpc.RpcError = error
    return known
