"""The health service, which needs no token and so bounds what a caller can make it hold.

`grpc_health`'s own servicer keeps an entry for every name that is asked for, and its methods are
called only when gRPC has read a whole message, of any size that the server accepts, from any number
of callers at once.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
from grpc import aio
from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from serving.api.errors import UnavailableError
from serving.batching.fair_slots import FairSlots
from serving.server.transport.quota import Quota, host_of

READS = 48
"""Messages read at once, each of at most the largest that any service takes; hosts take turns."""
READ_SECONDS = 0.5
"""Time in which the message of a call must arrive; it fits in one packet."""
PATIENCE_SECONDS = 0.02
"""The same while other calls wait to be read: silent calls must not keep a probe out, which may
come from the same host as they do."""
WAITING, WAITING_OF_A_HOST = 512, 128
"""Calls whose message is not read yet. gRPC holds at most 16 KiB of each."""
WATCHES, WATCHES_OF_A_HOST = 512, 64
"""Calls of Watch in progress."""


class HealthService:
    """Tells whether services answer; knows a fixed set of them."""

    def __init__(self, services: Sequence[str]) -> None:
        """Take the names of the services; none of them serves yet. `""` is the whole server."""
        self._services = frozenset(services)
        self._status: Any = HealthCheckResponse.NOT_SERVING
        self._changed = asyncio.Event()
        self._reads = FairSlots(READS)
        self._waiting = Quota(WAITING, of_one_host=WAITING_OF_A_HOST)
        self._watches = Quota(WATCHES, of_one_host=WATCHES_OF_A_HOST)

    def announce(self, *, serving: bool) -> None:
        """Set the status of all services."""
        known = HealthCheckResponse
        self._status = known.SERVING if serving else known.NOT_SERVING
        self._changed.set()
        self._changed = asyncio.Event()

    def add_to(self, server: aio.Server) -> None:
        """Add the service to a server that has not started."""
        codec: Any = {
            "request_deserializer": HealthCheckRequest.FromString,
            "response_serializer": HealthCheckResponse.SerializeToString,
        }
        # as streams of requests, so that this class and not gRPC decides when to read
        methods = {
            "Check": grpc.stream_unary_rpc_method_handler(self._check, **codec),
            "Watch": grpc.stream_stream_rpc_method_handler(self._watch, **codec),
        }
        handler = grpc.method_handlers_generic_handler(health.SERVICE_NAME, methods)
        server.add_generic_rpc_handlers((handler,))

    async def _check(
        self, requests: AsyncIterator[HealthCheckRequest], context: Any
    ) -> HealthCheckResponse:
        if await self._name(requests, context) not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND, "service must be one of this server")
        return HealthCheckResponse(status=self._status)

    async def _watch(
        self, requests: AsyncIterator[HealthCheckRequest], context: Any
    ) -> AsyncIterator[HealthCheckResponse]:
        with self._watches.one_for(host_of(context.peer())):
            if await self._name(requests, context) not in self._services:
                # the protocol's answer to an unknown name; here none ever becomes known
                yield HealthCheckResponse(status=HealthCheckResponse.SERVICE_UNKNOWN)
                return
            told = None
            while True:
                changed = self._changed
                if told != self._status:
                    told = self._status
                    yield HealthCheckResponse(status=told)
                await changed.wait()

    async def _name(self, requests: AsyncIterator[HealthCheckRequest], context: Any) -> str:
        """The name that a call asks for.

        Raises:
            QueueFullError: too many calls wait to be read.
            UnavailableError: the message did not arrive in time.
        """
        host = host_of(context.peer())
        with self._waiting.one_for(host):
            async with self._reads.one_for(host):
                request = await self._read(requests)
        return "" if request is None else request.service

    async def _read(self, requests: AsyncIterator[HealthCheckRequest]) -> HealthCheckRequest | None:
        """The message of a call; None if it has none.

        Raises:
            UnavailableError: the message did not arrive in time.
        """

        async def read() -> HealthCheckRequest | None:
            return await anext(requests, None)

        reading = asyncio.create_task(read())
        try:
            for _ in range(round(READ_SECONDS / PATIENCE_SECONDS)):
                await asyncio.wait({reading}, timeout=PATIENCE_SECONDS)
                if reading.done():
                    return reading.result()
                if self._waiting.held > READS:
                    break
        finally:
            reading.cancel()
        raise UnavailableError(f"message must arrive within {READ_SECONDS:g} s")
