"""Refuses unauthorised calls without reading their messages."""

import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from grpc import aio
from typing_extensions import override

from serving.server.access.client import CLIENT
from serving.server.access.control import AccessControl
from serving.server.access.credentials import CREDENTIALS, Credentials, sent_credentials
from serving.server.access.errors import AccessError
from serving.server.interceptors.statuses import status_of, trailing_metadata
from serving.server.interceptors.wrapping import CALL, Handler

logger = logging.getLogger(__name__)


class AuthInterceptor(aio.ServerInterceptor):
    """Passes an authorised call on; ends any other call with the reason alone."""

    def __init__(self, access: AccessControl) -> None:
        self._access = access

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

        async def refuse(error: AccessError, context: Any) -> None:
            # whoever calls chooses the name of a method that does not exist
            shown = "an unknown method" if handler is None else method
            logger.info("%s refused: %s", shown, error)
            status, message = status_of(error, shown)
            await context.abort(status, message, trailing_metadata(error, status))

        async def admit_or_refuse(context: Any) -> None:
            try:
                admit(sent.with_certificate(context.auth_context()))
            except AccessError as error:
                await refuse(error, context)

        if self._access.needs_certificate(method, sent):
            missing: Handler = grpc.stream_stream_rpc_method_handler(_missing)
            return _admitted_first(handler or missing, admit_or_refuse)
        try:
            admit(sent)
        except AccessError as error:
            return _refusal(error, refuse)
        return handler


def _refusal(error: AccessError, refuse: Callable[[AccessError, Any], Awaitable[None]]) -> Handler:
    """A handler that ends the call. It is made for streams, whose messages gRPC reads on demand."""

    async def refused(requests: Any, context: Any) -> None:  # noqa: ARG001  # gRPC's signature
        await refuse(error, context)

    return grpc.stream_stream_rpc_method_handler(refused)


def _admitted_first(handler: Handler, admit: Callable[[Any], Awaitable[None]]) -> Handler:
    """A handler that admits the call by the connection's certificate, then reads its messages.

    Only the context of a call has the certificate, and gRPC reads the message of a unary call
    before it makes one. So the handler is made for streams.
    """

    async def call(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        await admit(context)
        async for response in _responses(handler, requests, context):
            yield response

    return grpc.stream_stream_rpc_method_handler(
        call,
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )


async def _responses(
    handler: Any, requests: AsyncIterator[Any], context: Any
) -> AsyncIterator[Any]:
    """The responses of a method of any kind to a stream of requests."""
    request: Any = requests
    if not handler.request_streaming:
        request = await anext(requests, None)
        if request is None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "request must be one, got none")
    if not handler.response_streaming:
        yield await _response(handler.unary_unary or handler.stream_unary, request, context)
        return
    result = (handler.unary_stream or handler.stream_stream)(request, context)
    if inspect.isawaitable(result):  # a method that writes to the context itself
        await result
        return
    async for response in result:
        yield response


async def _response(method: Callable[..., Any], request: Any, context: Any) -> Any:
    """The only response of a method, which the telemetry sees too."""
    response = await method(request, context)
    if (call := CALL.get()) is not None:
        call.request, call.response = request, response
    return response


async def _missing(requests: Any, context: Any) -> None:  # noqa: ARG001  # gRPC's signature
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
