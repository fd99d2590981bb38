"""The gRPC server of an engine: services, health, reflection, graceful shutdown."""

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any

from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from events.event_store import EventStore
from retrieval.cache_config import CacheConfig, CacheLookups
from serving.api.limits import Limits
from serving.batching.engine_thread import EngineThread, Load
from serving.batching.request_queue import QueueConfig
from serving.releases.reloader import Reloader
from serving.server.access_control import AccessControl
from serving.server.answer_cache import AnswerCache, CacheLookupsCollector
from serving.server.interceptors.auth import AuthInterceptor
from serving.server.interceptors.errors import ErrorInterceptor
from serving.server.interceptors.message_size import MessageSizeInterceptor
from serving.server.interceptors.telemetry import TelemetryInterceptor
from serving.server.item_changes_age import ItemChangesCollector
from serving.server.metrics import Metrics
from serving.server.servicers.admin import AdminServicer
from serving.server.servicers.catalog import CatalogServicer
from serving.server.servicers.feedback import FeedbackServicer
from serving.server.servicers.recommender import RecommenderServicer
from serving.server.tls import TlsConfig, server_credentials
from serving.server.user_events import EventsConfig, UserEvents
from shortlist_client.proto.recommender.v1 import (
    admin_pb2,
    catalog_pb2,
    feedback_pb2,
    recommender_pb2,
    recommender_pb2_grpc,
)
from shortlist_client.proto.recommender.v1.admin_pb2_grpc import add_AdminServiceServicer_to_server
from shortlist_client.proto.recommender.v1.catalog_pb2_grpc import (
    add_CatalogServiceServicer_to_server,
)
from shortlist_client.proto.recommender.v1.feedback_pb2_grpc import (
    add_FeedbackServiceServicer_to_server,
)

logger = logging.getLogger(__name__)

SERVICE = recommender_pb2.DESCRIPTOR.services_by_name["RecommenderService"].full_name
CATALOG = catalog_pb2.DESCRIPTOR.services_by_name["CatalogService"].full_name
FEEDBACK = feedback_pb2.DESCRIPTOR.services_by_name["FeedbackService"].full_name
ADMIN = admin_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
KEEP_ALIVE = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),  # then frees what a vanished client holds
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Address, limits and security of the server."""

    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` is every interface."""
    port: int = 50051
    """TCP port; 0 takes a free one."""
    grace_seconds: float = 10.0
    """Time for requests in flight to finish after SIGTERM or SIGINT, seconds."""
    max_message_bytes: int = 4 << 20
    """Size limit of a request and of an answer, bytes."""
    reload_seconds: float = 1.0
    """Interval between checks for a new live release, seconds; SIGHUP checks at once."""
    queue: QueueConfig = field(default_factory=QueueConfig)
    """Queue of requests in front of the engine."""
    tokens: Path | None = None
    """YAML file of the clients, with entries from `python -m serving token`; read again when it
    changes. Without it, everyone who reaches the port may call everything."""
    tls: TlsConfig = field(default_factory=TlsConfig)
    """Certificates; without them, nothing is encrypted."""
    cache: CacheConfig = field(default_factory=CacheConfig)
    """Caches of answers and of shoppers' embeddings."""
    metrics_port: int | None = None
    """TCP port that Prometheus reads; by default none."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port must be within 0 and 65535, got {self.port}")
        if self.grace_seconds < 0:
            raise ValueError(f"grace_seconds must be at least 0, got {self.grace_seconds}")
        if self.reload_seconds <= 0:
            raise ValueError(f"reload_seconds must be positive, got {self.reload_seconds}")
        if self.max_message_bytes < 1:
            raise ValueError(f"max_message_bytes must be at least 1, got {self.max_message_bytes}")


class Server:
    """Serves inside `async with`: entering opens the port, leaving drains.

    Health is NOT_SERVING until `ready` returns, and again while draining.
    """

    def __init__(
        self,
        load: Load,
        config: ServerConfig,
        *,
        store: EventStore | None = None,
        events: EventsConfig | None = None,
        reloader: Reloader | None = None,
        limits: Limits = Limits(),
    ) -> None:
        """Build the server; the port stays closed.

        Args:
            load: Loads the engine; called once, in the engine's thread.
            config: Configuration of the server.
            store: Event store, closed with the server; without it, no events are stored or read.
            events: Configuration of the users' events.
            reloader: Loads the releases; without it, releases cannot be listed or activated.
            limits: Limits on one request.
        """
        self._config, self._limits = config, limits
        self.metrics = Metrics(config.host, config.metrics_port)
        """Prometheus metrics"""
        self.telemetry = TelemetryInterceptor(self.metrics)
        """Interceptor that observes every call"""
        self.engine = EngineThread(load, config.queue)
        """Thread of the engine"""
        self._draining = asyncio.Event()
        self._health = health.aio.HealthServicer()
        self._server = aio.server(
            interceptors=self._interceptors(),
            options=[
                *KEEP_ALIVE,
                ("grpc.max_receive_message_length", config.max_message_bytes),
                ("grpc.max_send_message_length", config.max_message_bytes),
                ("grpc.so_reuseport", 0),  # by default, a second server shares the port silently
            ],
        )
        self._user_events: UserEvents | None = None
        if store is not None:
            self._user_events = UserEvents(store, events or EventsConfig(), self.engine)
        self._answers = AnswerCache(config.cache) if config.cache.answers_mb else None
        self.metrics.registry.register(CacheLookupsCollector(self._lookups))
        self.metrics.registry.register(ItemChangesCollector(self.engine))
        self._catalog = CatalogServicer(self.engine, self._draining)
        self._admin = AdminServicer(
            self.engine, reloader, metrics=self.metrics, user_events=self._user_events
        )
        self._services = self._add_services()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (*self._services, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        self.port = config.port
        """TCP port of the server, known once entered."""

    @property
    def address(self) -> str:
        """`host:port` of the server."""
        return f"{self._config.host}:{self.port}"

    async def __aenter__(self) -> "Server":
        """Open the port and start to load the engine.

        Raises:
            ValueError: the port is taken, or the host is not an address of this machine.
        """
        await self._announce(NOT_SERVING)
        if self._config.tokens is None and not _is_loopback(self._config.host):
            logger.warning(
                "everyone who reaches %s may call everything; set `tokens`", self.address
            )
        try:
            self.port = self._open_port()
        except RuntimeError as error:
            raise ValueError(f"host and port must be free to bind, got {self.address}") from error
        self.metrics.__enter__()
        await self._server.start()
        self.engine.__enter__()
        return self

    async def ready(self) -> None:
        """Wait until the engine is loaded, then set health to SERVING.

        Raises:
            Exception: the error of loading.
        """
        versions = await self.engine.ready()
        await self._catalog.start()
        if self._user_events is not None:
            self._user_events.start_pruning()
        await self._announce(SERVING)
        parts = ", ".join(f"{stage} {fingerprint}" for stage, fingerprint in versions.items())
        logger.info("serving on %s: %s", self.address, parts)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Set health to NOT_SERVING, refuse new calls and let calls in flight finish."""
        await self._health.enter_graceful_shutdown()
        self._draining.set()
        await self._server.stop(self._config.grace_seconds)
        self.engine.__exit__(kind, error, trace)
        await self._catalog.close()
        await self._admin.close()
        if self._user_events is not None:
            await self._user_events.close()
        self.metrics.__exit__(kind, error, trace)

    def _interceptors(self) -> list[aio.ServerInterceptor]:
        """The interceptors, outermost first."""
        tokens = self._config.tokens
        auth = [AuthInterceptor(AccessControl(tokens))] if tokens else []
        return [
            self.telemetry,
            *auth,
            ErrorInterceptor(),
            MessageSizeInterceptor(self._limits),
        ]

    def _lookups(self) -> Mapping[str, CacheLookups]:
        answers = {} if self._answers is None else {"answers": self._answers.lookups}
        return {**answers, **self.engine.cache_lookups}

    def _open_port(self) -> int:
        if self._config.tls.enabled:
            credentials = server_credentials(self._config.tls)
            return self._server.add_secure_port(self.address, credentials)
        return self._server.add_insecure_port(self.address)

    def _add_services(self) -> Sequence[str]:
        """Add the services and return their names; without an event store, no FeedbackService."""
        recommender = RecommenderServicer(
            self.engine,
            self._user_events,
            self._answers,
            draining=self._draining,
            limits=self._limits,
            # twice: as many requests wait as are in progress
            stream_requests=2 * self._config.queue.stream_requests,
        )
        recommender_pb2_grpc.add_RecommenderServiceServicer_to_server(recommender, self._server)
        add_CatalogServiceServicer_to_server(self._catalog, self._server)
        add_AdminServiceServicer_to_server(self._admin, self._server)
        if self._user_events is None:
            return (SERVICE, CATALOG, ADMIN)
        feedback = FeedbackServicer(self._user_events, self._draining)
        add_FeedbackServiceServicer_to_server(feedback, self._server)
        return (SERVICE, CATALOG, ADMIN, FEEDBACK)

    async def _announce(self, status: int) -> None:
        for service in (health.OVERALL_HEALTH, *self._services):
            await self._health.set(service, status)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def serve(
    load: Load,
    config: ServerConfig,
    *,
    store: EventStore | None = None,
    events: EventsConfig | None = None,
    reloader: Reloader | None = None,
    limits: Limits = Limits(),
) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    Args:
        load: Loads the engine, as in `Server`.
        config: Configuration of the server.
        store: Event store, as in `Server`.
        events: Configuration of the users' events.
        reloader: Switches the engine to a new live release; None to stay with the first one.
        limits: Limits on one request, as the engine's.

    Raises:
        ValueError: the port is taken.
        Exception: the error of loading.
    """
    loop, stopped, hangup = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with Server(
        load, config, store=store, events=events, reloader=reloader, limits=limits
    ) as server:
        await server.ready()
        gc.freeze()  # scanning the loaded release would stop all requests for 0.2 s
        following: AbstractAsyncContextManager[None] = nullcontext()
        if reloader is not None:
            loop.add_signal_handler(signal.SIGHUP, hangup.set)
            following = _in_background(
                reloader.follow(server.engine, every=config.reload_seconds, asked=hangup)
            )
        async with following:
            await stopped.wait()
        logger.info("draining for at most %g s", config.grace_seconds)
    logger.info("stopped")


@asynccontextmanager
async def _in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run endless work until the block ends."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
