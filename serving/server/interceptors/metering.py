"""Charges every message by its rows, and ends a stream once its client may no longer call."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeVar

import grpc
from grpc import aio
from typing_extensions import override

from serving.api.errors import UnavailableError
from serving.server.access.client import CLIENT
from serving.server.access.control import AccessControl
from serving.server.access.credentials import CREDENTIALS
from serving.server.access.errors import AccessError
from shortlist_client.proto.recommender.v1 import (
    catalog_pb2,
    classifier_pb2,
    feedback_pb2,
    recommender_pb2,
)

RECHECK_SECONDS = 1.0
"""Time between two checks of a stream's client."""
UNREAD_SECONDS = 2.0
"""Time for the caller to read the status that ends its stream."""
ROWS: Mapping[type, Callable[[Any], int]] = {
    feedback_pb2.RecordRequest: lambda message: len(message.events),
    catalog_pb2.UpsertRequest: lambda message: len(message.items),
    catalog_pb2.DeleteRequest: lambda message: len(message.item_ids),
    catalog_pb2.GetRequest: lambda message: len(message.item_ids),
    recommender_pb2.EmbedRequest: lambda message: (
        len(message.items.item_ids) + len(message.texts.texts)
    ),
    classifier_pb2.ClassifyRequest: lambda message: len(message.texts) + len(message.item_ids),
}
"""Messages that carry several rows. Any other message is one row."""
END: Any = object()
T = TypeVar("T")


class MeteringInterceptor(aio.ServerInterceptor):
    """Charges messages and checks streams; must be inside the error interceptor.

    The error interceptor turns what this one raises into statuses.
    """

    def __init__(self, access: AccessControl) -> None:
        self._access = access

    @override
    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler: Any = await continuation(handler_call_details)
        if handler is None:
            return None
        name = handler_call_details.method
        codec = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(self._unary(handler.unary_unary), **codec)
        if handler.stream_unary is not None:
            return grpc.stream_unary_rpc_method_handler(self._reader(handler.stream_unary), **codec)
        if handler.unary_stream is not None:
            reading = self._streaming(handler.unary_stream, name)
            return grpc.unary_stream_rpc_method_handler(reading, **codec)
        streaming = self._streaming(handler.stream_stream, name)
        return grpc.stream_stream_rpc_method_handler(streaming, **codec)

    def _unary(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(request: Any, context: Any) -> Any:
            self._charge(request, prepaid=1)
            return await method(request, context)

        return call

    def _reader(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(requests: AsyncIterator[Any], context: Any) -> Any:
            return await method(self._charged(requests), context)

        return call

    def _streaming(
        self, method: Callable[..., AsyncGenerator[Any]], name: str
    ) -> Callable[..., AsyncIterator[Any]]:
        async def call(sent: Any, context: Any) -> AsyncIterator[Any]:
            if isinstance(sent, AsyncIterator):
                sent = self._charged(sent)
            else:
                self._charge(sent, prepaid=1)
            async with (
                self._checked_again(name) as ended,
                aclosing(method(sent, context)) as responses,
            ):
                while (response := await _unless_ended(ended, anext(responses, END))) is not END:
                    yield response

        return call

    async def _charged(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        prepaid = 1
        async for request in requests:
            self._charge(request, prepaid=prepaid)
            prepaid = 0
            yield request

    def _charge(self, request: Any, *, prepaid: int) -> None:
        if (client := CLIENT.get()) is not None:
            self._access.budgets.charge(client, rows_of(request), prepaid=prepaid)

    @asynccontextmanager
    async def _checked_again(self, method: str) -> AsyncIterator["asyncio.Task[Exception]"]:
        """Check the client from time to time; the task is done once it may no longer call.

        A call that is busy with an answer which nobody reads is cancelled soon after that.
        """
        loop, call = asyncio.get_running_loop(), asyncio.current_task()
        assert call is not None
        over = asyncio.Event()

        def cancel() -> None:
            if not over.is_set():
                call.cancel()

        ended = asyncio.create_task(self._refused_later(method))
        ended.add_done_callback(lambda _: loop.call_later(UNREAD_SECONDS, cancel))
        try:
            yield ended
        finally:
            over.set()
            ended.cancel()

    async def _refused_later(self, method: str) -> Exception:
        client, shown = CLIENT.get(), CREDENTIALS.get()
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            try:
                if client is not None and shown is not None:
                    self._access.check_still(method, shown, client)
            except (AccessError, UnavailableError) as error:
                return error


async def _unless_ended(ended: "asyncio.Task[Exception]", work: Awaitable[T]) -> T:
    """The result of work, which is cancelled if `ended` is done first.

    Raises:
        Exception: the result of `ended`.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task, ended}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            raise ended.result()
        return task.result()
    finally:
        task.cancel()  # or, if it is done: its error is not reported as forgotten
        if not task.done():
            await asyncio.gather(task, return_exceptions=True)


def rows_of(message: Any) -> int:
    """Rows of a message, at least 1."""
    count = ROWS.get(type(message))
    return 1 if count is None else max(count(message), 1)
