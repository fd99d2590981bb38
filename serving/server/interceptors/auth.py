"""Refuses calls for who makes them, before they are read."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import grpc
from grpc import aio
from typing_extensions import override

from serving.server.access_control import AccessControl, AccessError
from serving.server.interceptors.statuses import status_of, trailing_metadata
from serving.server.interceptors.wrapping import Call, Handler, wrap

logger = logging.getLogger(__name__)

CLIENT: ContextVar[str] = ContextVar("client", default="")
"""Name of who made the call that is being answered; empty where nobody need say"""


class AuthInterceptor(aio.ServerInterceptor):
    """Lets a call through, or answers it with why it may not be made and nothing else."""

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
        CLIENT.set(client.name if client else "")
        return await continuation(handler_call_details)


def _refused(handler: "Handler | None", error: AccessError, method: str) -> Any:
    """What answers in a method's place; a method that is not there tells nothing more."""

    @asynccontextmanager
    async def refusing(call: Call) -> AsyncIterator[None]:
        status, message = status_of(error, method)
        await call.context.abort(status, message, trailing_metadata(error, status))
        yield

    return wrap(handler or grpc.unary_unary_rpc_method_handler(_nothing), refusing)


async def _nothing(request: Any, context: Any) -> bytes:  # noqa: ARG001  # as gRPC calls it
    raise AssertionError("refused before")
