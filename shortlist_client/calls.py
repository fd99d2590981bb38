"""Makes calls: default deadlines, precise errors, retries and parts of uploads."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import grpc

from shortlist_client.api.checks import NUMBER, Kind, check, check_iterable
from shortlist_client.errors import precise_error

T = TypeVar("T")
PAUSE_SECONDS, LAST_PAUSE = 0.1, 1.0
"""First and longest pause before a retry; each is three times as long as the one before."""
UPLOAD_ROWS = 200
"""Events or items of a message; each message has the deadline of a call."""


@dataclass(frozen=True, kw_only=True)
class Calls:
    """Calls methods of stubs with a default deadline. Errors are as precise as their details."""

    timeout: float
    """Deadline of a call that has none of its own, seconds."""

    def __post_init__(self) -> None:
        check("timeout", self.timeout, NUMBER)

    def unary(self, method: Any, request: Any, timeout: float | None = None) -> Any:
        """Return the response to one message.

        Raises:
            grpc.RpcError: what went wrong; its most precise class.
        """
        with precise_errors():
            return method(request, timeout=self.seconds(timeout))

    def acknowledged(self, method: Any, request: Any, timeout: float | None = None) -> Any:
        """Send the one message of a stream, retry within the deadline, return its acknowledgement.

        Raises:
            grpc.RpcError: as `unary`.
        """
        end, pause = time.monotonic() + self.seconds(timeout), PAUSE_SECONDS
        while True:
            try:
                with precise_errors():
                    (response,) = method(iter((request,)), timeout=max(0.0, end - time.monotonic()))
            except grpc.RpcError as error:
                left, code = end - time.monotonic(), getattr(error, "code", lambda: None)()
                if code is not grpc.StatusCode.UNAVAILABLE or pause > min(left, LAST_PAUSE):
                    raise
                time.sleep(pause)
                pause *= 3
            else:
                return response

    def seconds(self, timeout: float | None) -> float:
        """A call's own deadline, or the default; seconds.

        Raises:
            TypeError: it is not a number.
        """
        if timeout is None:
            return self.timeout
        check("timeout", timeout, NUMBER)
        return timeout


@contextmanager
def precise_errors() -> Iterator[None]:
    """Raise gRPC's errors as OverloadedError or ReleaseChangedError if their details say so."""
    try:
        yield
    except grpc.RpcError as error:
        precise = precise_error(error)
        if precise is error:
            raise
        raise precise from error


def in_parts(name: str, rows: Iterable[T], kind: Kind) -> Iterator[tuple[int, list[T]]]:
    """Rows in parts of a message each, with the position of the first.

    Raises:
        TypeError: the rows are one string, or one is of another kind.
    """
    check_iterable(name, rows, kind)
    rows, first = iter(rows), 0
    while part := list(islice(rows, UPLOAD_ROWS)):
        for place, row in enumerate(part, first):
            check(f"{name}[{place}]", row, kind)
        yield first, part
        first += len(part)
