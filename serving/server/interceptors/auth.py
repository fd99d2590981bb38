"""Refuses unauthorised calls without reading their messages."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import grpc
from grpc import aio
from typing_extensions import override

from serving.server.access.client import CLIENT
from serving.server.access.control import AccessControl
from serving.server.access.credentials import CREDENTIALS, Credentials, sent_credentials
from serving.server.access.errors import AccessError
from serving.server.interceptors.refusal import refused
from serving.server.interceptors.refusal_log import RefusalLog
from serving.server.interceptors.statuses import UnknownMethodError
from serving.server.interceptors.wrapping import CALL, Handler


class AuthInterceptor(aio.ServerInterceptor):
    """Passes an authorised call on; ends any other call with the reason alone."""

    def __init__(self, access: AccessControl) -> None:
        self._access, self._log = access, RefusalLog()

    @override
    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        method = handler_call_details.method
        sent = sent_credentials(handler_call_details.invocation_metadata)
        handler = await continuation(handler_call_details)

        def admit(credentials: Credentials) -> None:
            client = self._access.admit(method, credentials, exists=handler is not None)
            CLIENT.set(client)
            CREDENTIALS.set(credentials)

        def refuse(error: AccessError) -> Handler:
            # the caller chooses the name of an unknown method, so it must not be logged
            shown = "an unknown method" if handler is None else method
            self._log.add(shown, error)
            return refused(error, shown)

        if self._access.needs_certificate(method, sent):
            found = handler or refused(UnknownMethodError(), method)
            return _admitted_first(
                found, lambda context: admit(sent.with_certificate(context.auth_context())), refuse
            )
        try:
            admit(sent)
        except AccessError as error:
            return refuse(error)
        return handler


def _admitted_first(
    handler: Handler, admit: Callable[[Any], None], refuse: Callable[[AccessError], Handler]
) -> Handler:
    """A handler that admits the call by the connection's certificate, then reads its messages.

    Only the context of a call has the certificate, and gRPC reads the message of a unary call
    before it makes one. So the handler is made for streams.
    """

    async def call(requests: AsyncIterator[Any], context: Any) -> AsyncGenerator[Any, None]:
        try:
            admit(context)
        except AccessError as error:
            refusal: Any = refuse(error)
            await refusal.stream_unary(requests, context)
        async with aclosing(_responses(handler, requests, context)) as responses:
            async for response in responses:
                yield response

    return grpc.stream_stream_rpc_method_handler(
        call,
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )


async def _responses(
    handler: Any, requests: AsyncIterator[Any], context: Any
) -> AsyncGenerator[Any, None]:
    """The responses of a method of any kind to a stream of requests."""
    request: Any = requests
    if not handler.request_streaming:
        request = await anext(requests, None)
        if request is None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "request must be one, got none")
    if handler.response_streaming:
        result = (handler.unary_stream or handler.stream_stream)(request, context)
        async with aclosing(result) as responses:
            async for response in responses:
                yield response
        return
    response = await (handler.unary_unary or handler.stream_unary)(request, context)
    if (call := CALL.get()) is not None:  # the telemetry looks at both
        call.request, call.response = request, response
    yield response
