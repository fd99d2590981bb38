"""Refuses messages that are too large to decode on the event loop, or foreign to the contract.

gRPC decodes a message on the event loop, in one piece. Its time grows with its bytes, so each
service has a limit on them; `serving.api.limits` says how long a MiB takes.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc import aio
from typing_extensions import override

from serving.api.errors import MessageTooLargeError
from serving.api.limits import Limits
from shortlist_client.api.errors import InvalidRequestError

OTHER_BYTES = 64 << 10
"""Maximum size of a message to any other service, bytes: none of them has lists."""
OF_REQUESTS = ("recommender.v1.RecommenderService", "recommender.v1.ClassifierService")
OF_ROWS = ("recommender.v1.CatalogService", "recommender.v1.FeedbackService")


class MessageSizeInterceptor(aio.ServerInterceptor):
    """Raises MessageTooLargeError or InvalidRequestError while a request is decoded.

    The interceptor before it has to turn errors of decoding into statuses.
    """

    def __init__(self, limits: Limits) -> None:
        """Take the limits on requests."""
        self._limits = limits

    @override
    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_deserializer is None:
            return handler
        most = most_bytes(handler_call_details.method, self._limits)
        return handler._replace(request_deserializer=bounded(handler.request_deserializer, most))


def largest_request(limits: Limits) -> int:
    """Maximum size of a message to any method, bytes."""
    return max(limits.request_bytes, limits.rows_bytes, OTHER_BYTES)


def most_bytes(method: str, limits: Limits) -> int:
    """Maximum size of a message to a method, `/service/method`, bytes."""
    service = method.split("/")[1]
    if service in OF_REQUESTS:
        return limits.request_bytes
    return limits.rows_bytes if service in OF_ROWS else OTHER_BYTES


def bounded(deserialize: Callable[[bytes], Message], most: int) -> Callable[[bytes], Message]:
    """The deserialiser, refusing more than `most` bytes and messages of unknown fields alone.

    A newer client's unknown fields beside known ones are ignored, as protobuf intends.
    """

    def read(wire: bytes) -> Message:
        if len(wire) > most:
            raise MessageTooLargeError(
                f"message must have at most {most:,} bytes, got {len(wire):,}"
            )
        message = deserialize(wire)
        if wire and not message.ListFields() and message.ByteSize():
            raise InvalidRequestError(
                "message must hold a field of this contract, got unknown ones"
            )
        return message

    return read
