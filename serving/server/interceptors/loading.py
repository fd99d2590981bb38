"""Refuses calls that arrive before the release is loaded, instead of letting them wait."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc import aio
from typing_extensions import override

from serving.api.errors import LoadingError
from serving.server.interceptors.refusal import refused

RETRY_SECONDS = 1.0
"""When a refused caller should ask again, seconds."""


class LoadingInterceptor(aio.ServerInterceptor):
    """Passes calls on once the release is loaded; before, only those that need no release."""

    def __init__(self, needs_release: Callable[[str], bool]) -> None:
        """Refuse calls from now on.

        Args:
            needs_release: Whether a method, `/service/method`, needs the release.
        """
        self._needs_release = needs_release
        self.loaded = False
        """Whether the release is loaded"""

    @override
    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        method = handler_call_details.method
        if self.loaded or not self._needs_release(method):
            return await continuation(handler_call_details)
        return refused(LoadingError(RETRY_SECONDS), method)
