"""Refuses unauthorised calls before their messages are read."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from grpc import aio
from typing_extensions import override

from serving.server.access.client import CLIENT
from serving.server.access.errors import AccessError
from serving.server.access_control import AccessControl
from serving.server.interceptors.statuses import status_of, trailing_metadata
from serving.server.interceptors.wrapping import Call, Handler, wrap

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
        sent = dict(handler_call_details.invocation_metadata or ())
        authorization = sent.get("authorization")
        try:
            client = self._access.admit(
                method, authorization if isinstance(authorization, str) else None
            )
        except AccessError as error:
            logger.info("%s refused: %s", method, error)
            return _refused(await continuation(handler_call_details), error, method)
        CLIENT.set(client)
        return await continuation(handler_call_details)


def _refused(handler: "Handler | None", error: AccessError, method: str) -> Any:
    """A handler that refuses the call; a missing method is refused in the same way."""

    @asynccontextmanager
    async def refusing(call: Call) -> AsyncIterator[None]:
        status, message = status_of(error, method)
        await call.context.abort(status, message, trailing_metadata(error, status))
        yield

    return wrap(handler or grpc.unary_unary_rpc_method_handler(_unreachable), refusing)


async def _unreachable(request: Any, context: Any) -> bytes:  # noqa: ARG001  # gRPC's signature
    raise AssertionError("the call was refused before")
