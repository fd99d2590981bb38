"""Makes calls: default deadlines, precise errors, retries and parts of uploads."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from shortlist_client.api.checks import NUMBER, Kind, check, check_iterable, shown
from shortlist_client.errors import precise_error

T = TypeVar("T")
M = TypeVar("M", bound=Message | str)
PAUSE_SECONDS, LAST_PAUSE = 0.1, 1.0
"""First and longest pause before a retry; each is three times as long as the one before."""
UPLOAD_ROWS, UPLOAD_BYTES = 200, 256 << 10
"""Events or items of a message, and their bytes; each message has the deadline of a call. A larger
row has a message of its own."""
ROW_BYTES = 8
"""Tag and length of a row, at most."""


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


def in_parts(
    name: str, rows: Iterable[T], kind: Kind, message_of: Callable[[T], M]
) -> Iterator[tuple[int, list[M]]]:
    """Messages of rows, in parts of one request each, with the position of the first.

    Args:
        name: Name of the rows, for errors.
        rows: The rows.
        kind: Kind of every row.
        message_of: Returns the message of a row, or the string itself.

    Raises:
        TypeError: the rows are one string, or one is of another kind.
        ValueError: no message can hold a row; names the position and the field.
    """
    check_iterable(name, rows, kind)
    part, size, first = list[M](), 0, 0
    for place, row in enumerate(rows):
        check(f"{name}[{place}]", row, kind)
        try:
            message = message_of(row)
        except ValueError as error:
            raise ValueError(f"{name}[{place}]: {error}") from error
        added = _bytes(message)
        if part and (len(part) == UPLOAD_ROWS or size + added > UPLOAD_BYTES):
            yield first, part
            part, size, first = [], 0, place
        part.append(message)
        size += added
    if part:
        yield first, part


def encodable(text: str) -> str:
    """The text, which a message can hold.

    Raises:
        ValueError: the text is not valid Unicode.
    """
    try:
        text.encode()
    except UnicodeError as error:
        raise ValueError(f"must be valid Unicode, got {shown(text)}") from error
    return text


def _bytes(row: Message | str) -> int:
    """Upper bound of a row's size in its request, bytes."""
    return ROW_BYTES + (len(row.encode()) if isinstance(row, str) else row.ByteSize())
