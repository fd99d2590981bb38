"""Refuses unauthorised calls before their messages are read."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc import aio
from typing_extensions import override

from serving.server.access.client import CLIENT
from serving.server.access.errors import AccessError
from serving.server.access_control import AccessControl
from serving.server.interceptors.refusal import refused

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
            logger.info("%.200s refused: %s", method, error)
            return refused(error, method)
        CLIENT.set(client)
        return await continuation(handler_call_details)
