"""What a server refuses, as a client can act on it.

grpc.RpcError: what went wrong, with `code()` and `details()`.
    OverloadedError: RESOURCE_EXHAUSTED where asking again helps; says when.
    ReleaseChangedError: FAILED_PRECONDITION; says which release is live.
"""

from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from shortlist_client.wire.recommend import OTHER_RELEASE


class _RefusedError(grpc.RpcError):
    """What the server said, beside something that a program can act on."""

    def __init__(self, error: Any) -> None:
        super().__init__(error.details())
        self._code: grpc.StatusCode = error.code()
        self._details: str = error.details()

    def code(self) -> grpc.StatusCode:
        """Status of the answer."""
        return self._code

    def details(self) -> str:
        """What the server said."""
        return self._details


class OverloadedError(_RefusedError):
    """So many requests wait at the server that it refused one more."""

    def __init__(self, error: Any, retry_seconds: float) -> None:
        """Say what the server said, and when to ask again."""
        super().__init__(error)
        self.retry_seconds = retry_seconds


class ReleaseChangedError(_RefusedError):
    """Another release is live than the one that the request is bound to."""

    def __init__(self, error: Any, live: str | None) -> None:
        """Say what the server said, and which is live; None where it was never published."""
        super().__init__(error)
        self.live = live


def asked(method: Any, request: Any, *, timeout: float) -> Any:
    """The answer to a request.

    Raises:
        grpc.RpcError: what went wrong, as one that says more where the server did.
    """
    try:
        return method(request, timeout=timeout)
    except grpc.RpcError as error:
        refused = typed(error)
        if refused is error:
            raise
        raise refused from error


def typed(error: Any) -> grpc.RpcError:
    """The error as one that says more where the server did, else as it is."""
    status = rpc_status.from_call(error)
    for detail in () if status is None else status.details:
        retry, info = error_details_pb2.RetryInfo(), error_details_pb2.ErrorInfo()
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and detail.Unpack(retry):
            return OverloadedError(error, retry.retry_delay.ToNanoseconds() / 1e9)
        if detail.Unpack(info) and info.reason == OTHER_RELEASE:
            return ReleaseChangedError(error, info.metadata.get("live"))
    known: grpc.RpcError = error
    return known
