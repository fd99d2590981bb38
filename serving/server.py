"""The gRPC server around an engine: health, reflection, and a graceful end."""

import asyncio
import logging
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from events.store import EventStore
from protos.recommender.v1 import (
    catalog_pb2,
    feedback_pb2,
    recommender_pb2,
    recommender_pb2_grpc,
)
from protos.recommender.v1.catalog_pb2_grpc import add_CatalogServiceServicer_to_server
from protos.recommender.v1.feedback_pb2_grpc import add_FeedbackServiceServicer_to_server
from serving.catalog_servicer import CatalogServicer
from serving.engine_thread import EngineThread, Load
from serving.feedback_servicer import FeedbackServicer
from serving.histories import EventsConfig, Histories
from serving.interceptors import ErrorInterceptor
from serving.servicer import RecommenderServicer

logger = logging.getLogger(__name__)

SERVICE = recommender_pb2.DESCRIPTOR.services_by_name["RecommenderService"].full_name
CATALOG = catalog_pb2.DESCRIPTOR.services_by_name["CatalogService"].full_name
FEEDBACK = feedback_pb2.DESCRIPTOR.services_by_name["FeedbackService"].full_name
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Where the server listens and what it puts up with."""

    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` is every interface."""
    port: int = 50051
    """TCP port; 0 takes a free one."""
    grace_seconds: float = 10.0
    """Seconds that requests in flight get to finish after SIGTERM or SIGINT."""
    max_message_bytes: int = 4 << 20
    """Bytes of the largest request, and of the largest answer."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port must be within 0 and 65535, got {self.port}")
        if self.grace_seconds < 0:
            raise ValueError(f"grace_seconds must be at least 0, got {self.grace_seconds}")
        if self.max_message_bytes < 1:
            raise ValueError(f"max_message_bytes must be at least 1, got {self.max_message_bytes}")


class Server:
    """Serves inside `async with`: entering opens the port, leaving drains.

    Health says NOT_SERVING until `ready` returns, and again while draining.
    """

    def __init__(
        self,
        load: Load,
        config: ServerConfig,
        *,
        store: EventStore | None = None,
        events: EventsConfig | None = None,
    ) -> None:
        """Take what is served.

        Args:
            load: Makes the engine; called once, in the engine's thread.
            config: Where to listen.
            store: Of events, closed with the server; without one, none are recorded or looked up.
            events: Which of them tell of a user.
        """
        self._config = config
        self._engine = EngineThread(load)
        self._draining = asyncio.Event()
        self._health = health.aio.HealthServicer()
        self._server = aio.server(
            interceptors=[ErrorInterceptor()],
            options=[
                ("grpc.max_receive_message_length", config.max_message_bytes),
                ("grpc.max_send_message_length", config.max_message_bytes),
                ("grpc.so_reuseport", 0),  # by default a second server shares the port silently
            ],
        )
        self._histories: Histories | None = None
        if store is not None:
            self._histories = Histories(store, events or EventsConfig(), self._engine)
        self._catalog = CatalogServicer(self._engine, self._draining)
        self._services = self._add_services()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (*self._services, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        self.port = config.port
        """TCP port that it listens on, once entered."""

    @property
    def address(self) -> str:
        """`host:port` that it listens on."""
        return f"{self._config.host}:{self.port}"

    async def __aenter__(self) -> "Server":
        """Open the port and begin to load the engine.

        Raises:
            ValueError: the port is taken, or the host is none of this machine's.
        """
        await self._announce(NOT_SERVING)
        try:
            self.port = self._server.add_insecure_port(self.address)
        except RuntimeError as error:
            raise ValueError(f"host and port must be free to bind, got {self.address}") from error
        await self._server.start()
        self._engine.__enter__()
        return self

    async def ready(self) -> None:
        """Wait until the engine is loaded, then say SERVING.

        Raises:
            Exception: whatever loading raised.
        """
        versions = await self._engine.ready()
        await self._announce(SERVING)
        parts = ", ".join(f"{stage} {fingerprint}" for stage, fingerprint in versions.items())
        logger.info("serving on %s: %s", self.address, parts)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Say NOT_SERVING, accept nothing new, and let what is in flight finish."""
        await self._health.enter_graceful_shutdown()
        self._draining.set()
        await self._server.stop(self._config.grace_seconds)
        self._engine.__exit__(kind, error, trace)
        await self._catalog.close()
        if self._histories is not None:
            await self._histories.close()

    def _add_services(self) -> Sequence[str]:
        """Add those that the parts suffice for, and return their names."""
        recommender_pb2_grpc.add_RecommenderServiceServicer_to_server(
            RecommenderServicer(self._engine, self._histories), self._server
        )
        add_CatalogServiceServicer_to_server(self._catalog, self._server)
        if self._histories is None:
            return (SERVICE, CATALOG)
        feedback = FeedbackServicer(self._histories, self._draining)
        add_FeedbackServiceServicer_to_server(feedback, self._server)
        return (SERVICE, CATALOG, FEEDBACK)

    async def _announce(self, status: int) -> None:
        for service in (health.OVERALL_HEALTH, *self._services):
            await self._health.set(service, status)


async def serve(
    load: Load,
    config: ServerConfig,
    *,
    store: EventStore | None = None,
    events: EventsConfig | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain; arguments as of `Server`.

    Raises:
        ValueError: the port is taken.
        Exception: whatever loading raised.
    """
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with Server(load, config, store=store, events=events) as server:
        await server.ready()
        await stopped.wait()
        logger.info("draining for at most %g s", config.grace_seconds)
    logger.info("stopped")
