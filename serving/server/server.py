"""The gRPC server of an engine: services, health, reflection, graceful shutdown."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from types import TracebackType

from grpc import aio
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection

from events.event_store import EventStore
from events.privacy.erased_users import ErasedUsers
from retrieval.cache_config import CacheLookups
from serving.api.limits import DEFAULT_LIMITS, Limits
from serving.batching.engine_thread import EngineThread, Load
from serving.releases.release_metrics import ReleaseCollector
from serving.releases.reloader import Reloader
from serving.server.access.control import AccessControl
from serving.server.answer_cache import AnswerCache, CacheLookupsCollector
from serving.server.config import ServerConfig
from serving.server.contract import CONTRACT, Servicers
from serving.server.interceptors.auth import AuthInterceptor
from serving.server.interceptors.errors import ErrorInterceptor
from serving.server.interceptors.loading import LoadingInterceptor
from serving.server.interceptors.message_size import MessageSizeInterceptor, largest_request
from serving.server.interceptors.metering import MeteringInterceptor
from serving.server.interceptors.stream_count import StreamCountInterceptor
from serving.server.interceptors.telemetry import TelemetryInterceptor
from serving.server.item_changes_age import ItemChangesCollector
from serving.server.metrics import Metrics
from serving.server.servicers.admin import AdminServicer
from serving.server.servicers.catalog import CatalogServicer
from serving.server.servicers.classifier import ClassifierServicer
from serving.server.servicers.feedback import FeedbackServicer
from serving.server.servicers.privacy import PrivacyServicer
from serving.server.servicers.recommender import RecommenderServicer
from serving.server.transport.addresses import explained, joined
from serving.server.transport.exposure import check_exposure
from serving.server.transport.health import HealthService
from serving.server.transport.methods import MethodNames
from serving.server.transport.metrics_port import MetricsPort
from serving.server.transport.options import server_options
from serving.server.transport.supervision import ServerEndedError, serving_ended
from serving.server.transport.tls import server_credentials
from serving.server.users.events_config import EventsConfig
from serving.server.users.exposure_log import ExposureLog
from serving.server.users.exposures_config import ExposuresConfig
from serving.server.users.recounting import CountsCollector, Recounting
from serving.server.users.user_events import UserEvents
from serving.server.users.user_privacy import UserPrivacy

logger = logging.getLogger(__name__)

STOP_SECONDS = 3.0
"""Time for gRPC to cancel the calls that are left after the grace period."""


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
        exposures: ExposuresConfig | None = None,
        erased: ErasedUsers | None = None,
        reloader: Reloader | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Build the server; the port stays closed.

        Args:
            load: Loads the engine; called once, in the engine's thread.
            config: Configuration of the server.
            store: Event store, closed with the server; without it, no events are stored or read.
            events: Configuration of the users' events.
            exposures: Which answers are logged beside the events; by default none.
            erased: Erased users, as the engine knows them.
            reloader: Loads the releases; without it, releases cannot be listed or activated.
            limits: Limits on one request.
        """
        self.config, self.reloader = config, reloader
        self._limits = limits
        self.metrics = Metrics()
        """Prometheus metrics"""
        self.metrics_port = MetricsPort(self.metrics.registry, config.host, config.metrics_port)
        """Port that serves them"""
        names = MethodNames(CONTRACT, others=(health.SERVICE_NAME, reflection.SERVICE_NAME))
        self.telemetry = TelemetryInterceptor(self.metrics, names)
        """Interceptor that observes every call"""
        self._loading = LoadingInterceptor(names.is_of_contract)
        self._streams = StreamCountInterceptor(names.is_of_contract)
        self.engine = EngineThread(load, config.queue)
        """Thread of the engine"""
        self._draining = asyncio.Event()
        self._server = aio.server(
            interceptors=self._interceptors(),
            options=server_options(
                config.max_message_bytes,
                request_bytes=largest_request(limits),
                connections=config.connections,
            ),
        )
        self._user_events: UserEvents | None = None
        self._privacy: UserPrivacy | None = None
        self._recounting: Recounting | None = None
        self._exposures: ExposureLog | None = None
        if store is not None:
            events = events or EventsConfig()
            self._user_events = UserEvents(store, events, self.engine)
            if events.recount_minutes:
                self._recounting = Recounting(store, events, self.engine)
                self.metrics.registry.register(CountsCollector(self._recounting))
            self._privacy = UserPrivacy(store, erased or ErasedUsers(), self._user_events.clock)
            self._exposures = ExposureLog(
                store.exposures,
                exposures or ExposuresConfig(),
                erased=self._privacy.erased,
                clock=self._user_events.clock,
                registry=self.metrics.registry,
            )
        self._answers = AnswerCache(config.cache) if config.cache.answers_mb else None
        self.metrics.registry.register(CacheLookupsCollector(self._lookups))
        self.metrics.registry.register(ItemChangesCollector(self.engine))
        if reloader is not None:
            self.metrics.registry.register(ReleaseCollector(reloader))
        self._catalog = CatalogServicer(self.engine, self._draining)
        self._admin = AdminServicer(
            self.engine, reloader, metrics=self.metrics, user_events=self._user_events
        )
        services = self._add_services()
        self._health = HealthService((health.OVERALL_HEALTH, *services))
        self._health.add_to(self._server)
        if config.reflection:
            shown = (*services, health.SERVICE_NAME, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(shown, self._server)
        self.port = config.port
        """TCP port of the server, known once entered."""

    @property
    def address(self) -> str:
        """`host:port` of the server."""
        return joined(self.config.host, self.port)

    async def __aenter__(self) -> "Server":
        """Open the port and start to load the engine.

        Raises:
            ValueError: the port is taken, the host is not an address of this machine, others would
                reach the server without tokens or TLS, or the certificates do not fit.
            OSError: a certificate cannot be read.
        """
        config = self.config
        check_exposure(
            config.host,
            config.port,
            tokens=config.tokens is not None,
            encrypted=config.tls.enabled,
            insecure=config.insecure,
        )
        self.port = self._open_port()
        await self.metrics_port.__aenter__()
        await self._server.start()
        self.engine.__enter__()
        return self

    async def ended(self) -> str:
        """Wait until gRPC serves no more although nobody stopped it; return the reason."""
        return await serving_ended(self._server)

    async def ready(self) -> None:
        """Wait until the engine is loaded, then set health to SERVING.

        Raises:
            Exception: the error of loading.
        """
        versions = await self.engine.ready()
        await self._catalog.start()
        if self._user_events is not None:
            self._user_events.start_pruning()
        if self._privacy is not None:
            await self._privacy.start_following()
        if self._recounting is not None:
            self._recounting.start()
        if self._exposures is not None:
            self._exposures.start()
        self._loading.loaded = True
        self._health.announce(serving=True)
        parts = ", ".join(f"{stage} {fingerprint}" for stage, fingerprint in versions.items())
        logger.info("serving on %s: %s", self.address, parts)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Set health to NOT_SERVING, refuse new calls and let calls in flight finish."""
        self._health.announce(serving=False)
        self._draining.set()
        await self._stop(0 if kind is ServerEndedError else self.config.grace_seconds)
        self.engine.__exit__(kind, error, trace)
        await self._catalog.close()
        await self._admin.close()
        if self._recounting is not None:
            await asyncio.to_thread(self._recounting.stop)
        if self._privacy is not None:
            await self._privacy.close()
        if self._exposures is not None:
            await asyncio.to_thread(self._exposures.stop)
        if self._user_events is not None:
            await self._user_events.close()
        await self.metrics_port.__aexit__(kind, error, trace)

    async def _stop(self, grace: float) -> None:
        try:
            async with asyncio.timeout(grace + STOP_SECONDS):
                await self._server.stop(grace)
        except Exception:  # the stores must be closed in any case
            logger.exception("gRPC did not stop as it should")

    def _interceptors(self) -> list[aio.ServerInterceptor]:
        """The interceptors, outermost first."""
        errors, sizes = ErrorInterceptor(), MessageSizeInterceptor(self._limits)
        if self.config.tokens is None:
            return [self.telemetry, self._loading, errors, self._streams, sizes]
        mutual_tls = self.config.tls.client_ca is not None
        access = AccessControl(self.config.tokens, mutual_tls=mutual_tls)
        auth, metering = AuthInterceptor(access), MeteringInterceptor(access)
        return [self.telemetry, auth, self._loading, errors, self._streams, sizes, metering]

    def _lookups(self) -> Mapping[str, CacheLookups]:
        answers = {} if self._answers is None else {"answers": self._answers.lookups}
        return {**answers, **self.engine.cache_lookups}

    def _open_port(self) -> int:
        tls = server_credentials(self.config.tls) if self.config.tls.enabled else None
        try:
            if tls is None:
                return self._server.add_insecure_port(self.address)
            return self._server.add_secure_port(self.address, tls)
        except RuntimeError as error:
            raise explained(self.config.host, self.config.port, name="port") from error

    def _add_services(self) -> Sequence[str]:
        """Add the services, those of events if there is a store, and return their names."""
        feedback = privacy = None
        if self._user_events is not None and self._privacy is not None:
            feedback = FeedbackServicer(
                self._user_events, self._draining, erased=self._privacy.erased
            )
            privacy = PrivacyServicer(self.engine, self._privacy)
        recommender = RecommenderServicer(
            self.engine,
            self._user_events,
            self._answers,
            exposures=self._exposures if self._exposures and self._exposures.is_on else None,
            erased=None if self._privacy is None else self._privacy.erased,
            draining=self._draining,
            limits=self._limits,
            # twice: as many requests wait as are in progress
            stream_requests=2 * self.config.queue.stream_requests,
        )
        servicers = Servicers(
            recommender=recommender,
            classifier=ClassifierServicer(self.engine, limits=self._limits),
            catalog=self._catalog,
            admin=self._admin,
            feedback=feedback,
            privacy=privacy,
        )
        return servicers.add_to(self._server)
