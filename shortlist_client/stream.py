"""Recommendations for many shoppers over one stream."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc

from shortlist_client.api.answer import Response
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.errors import precise_error
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb
from shortlist_client.wire.answer import to_response
from shortlist_client.wire.request import shopper_message, wishes_message

STATUSES = {status.value[0]: status for status in grpc.StatusCode}


@dataclass(frozen=True, kw_only=True)
class RefusedRow:
    """The error of one request of a stream."""

    code: grpc.StatusCode
    """Status that `recommend` would have ended with."""
    message: str
    """The rule that is broken, or the reason of the failure."""


def recommendations(
    method: Any, requests: Iterable[tuple[Shopper, Wishes]], *, timeout: float
) -> Iterator[tuple[int, Response | RefusedRow]]:
    """The answers to many requests as they come, each with its position among the requests.

    Args:
        method: `RecommendStream` of the stub.
        requests: Read as fast as the server answers, in a thread of gRPC.
        timeout: Deadline of the whole stream, seconds.

    Raises:
        Exception: the error of iterating over the requests.
        grpc.RpcError: the server stopped, failed or is out of reach.
    """
    errors: list[Exception] = []
    call = method(_messages(requests, errors), timeout=timeout)
    try:
        for row in call:
            if row.WhichOneof("outcome") == "answer":
                yield row.row, to_response(row.answer)
            else:
                yield row.row, RefusedRow(code=STATUSES[row.error.code], message=row.error.message)
    except grpc.RpcError as error:
        if errors:  # gRPC only says that iterating failed
            raise errors[0] from None
        raise precise_error(error) from None
    finally:
        call.cancel()  # a caller that stops reading stops the job


def _messages(
    requests: Iterable[tuple[Shopper, Wishes]], errors: list[Exception]
) -> Iterator[pb.RecommendStreamRequest]:
    try:
        for place, pair in enumerate(requests):
            try:
                shopper, wishes = pair
            except (TypeError, ValueError) as error:
                message = f"requests[{place}] must be a Shopper and Wishes, got {pair!r}"
                raise TypeError(message) from error
            yield pb.RecommendStreamRequest(
                shopper=shopper_message(shopper), wishes=wishes_message(wishes)
            )
    except Exception as error:
        errors.append(error)
        raise
