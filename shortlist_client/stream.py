"""The part of the client that asks for many recommendations over one stream."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc

from protos.recommender.v1 import recommender_pb2 as pb
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.wire.recommend import recommend_request

STATUSES = {status.value[0]: status for status in grpc.StatusCode}
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class RefusedRow:
    """Why a request of a stream has no answer."""

    code: grpc.StatusCode
    """What `recommend` would have ended with."""
    message: str
    """What is wrong."""


def recommendations(
    method: Any,
    asked: Iterable[tuple[Shopper, Wishes]],
    *,
    response_of: Callable[[pb.Answer], T],
    timeout: float,
) -> Iterator[tuple[int, T | RefusedRow]]:
    """Answers to many requests, each with its place among them, as they come.

    Args:
        method: Of the stub.
        asked: Read as fast as the server answers, in a thread of its own.
        response_of: Makes an answer of its message.
        timeout: Deadline of all of them together, s.

    Raises:
        grpc.RpcError: the server stopped, failed or is out of reach.
    """
    requests = (
        pb.RecommendStreamRequest(request=recommend_request(shopper, wishes))
        for shopper, wishes in asked
    )
    call = method(requests, timeout=timeout)
    try:
        for row in call:
            if row.WhichOneof("outcome") == "answer":
                yield row.row, response_of(row.answer)
            else:
                yield row.row, RefusedRow(code=STATUSES[row.error.code], message=row.error.message)
    finally:
        call.cancel()  # whoever stops listening stops the job
