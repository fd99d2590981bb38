"""The AdminService: releases and statistics. Loads releases in its own thread."""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from typing_extensions import override

from serving.api.protocol import LiveRecommender
from serving.batching.engine_thread import EngineThread
from serving.releases.administration import Administration, Timed
from serving.releases.reloader import Reloader
from serving.server.metrics import Metrics
from serving.server.users.user_events import UserEvents
from shortlist_client.api.operations import Counts, Statistics
from shortlist_client.proto.recommender.v1 import admin_pb2 as pb
from shortlist_client.proto.recommender.v1.admin_pb2_grpc import AdminServiceServicer
from shortlist_client.wire.admin import release_message, statistics_message

T = TypeVar("T")


class AdminServicer(AdminServiceServicer):
    """The methods of `AdminService`. ErrorInterceptor turns their errors into statuses."""

    def __init__(
        self,
        engine: EngineThread,
        reloader: Reloader | None,
        *,
        metrics: Metrics,
        user_events: UserEvents | None,
    ) -> None:
        self._engine, self._metrics, self._user_events = engine, metrics, user_events
        self._administration = Administration(engine, reloader)
        self._one_at_a_time = ThreadPoolExecutor(1, thread_name_prefix="admin")
        self._started = time.monotonic()

    async def close(self) -> None:
        """Let the current call end by itself and drop the waiting ones."""
        self._one_at_a_time.shutdown(wait=False, cancel_futures=True)

    @override
    async def ListReleases(
        self, request: pb.ListReleasesRequest, context: Any
    ) -> pb.ListReleasesResponse:
        releases = await asyncio.to_thread(self._administration.releases)
        return pb.ListReleasesResponse(releases=map(release_message, releases))

    @override
    async def LoadRelease(
        self, request: pb.LoadReleaseRequest, context: Any
    ) -> pb.LoadReleaseResponse:
        release, seconds = await self._alone(
            lambda _: self._administration.load(request.release_id)
        )
        return pb.LoadReleaseResponse(release=release_message(release), seconds=seconds)

    @override
    async def ActivateRelease(
        self, request: pb.ActivateReleaseRequest, context: Any
    ) -> pb.ActivateReleaseResponse:
        release, seconds = await self._alone(
            lambda is_wanted: self._administration.activate(request.release_id, is_wanted)
        )
        return pb.ActivateReleaseResponse(release=release_message(release), seconds=seconds)

    @override
    async def RollBack(self, request: pb.RollBackRequest, context: Any) -> pb.RollBackResponse:
        release, seconds = await self._alone(self._administration.roll_back)
        return pb.RollBackResponse(release=release_message(release), seconds=seconds)

    @override
    async def GetStatistics(
        self, request: pb.GetStatisticsRequest, context: Any
    ) -> pb.GetStatisticsResponse:
        engine = await asyncio.to_thread(lambda: self._engine.engine)
        statistics = Statistics(
            versions=engine.current.versions,
            uptime_seconds=time.monotonic() - self._started,
            counts=await asyncio.to_thread(_counts, engine),
            events=None if self._user_events is None else await self._user_events.count(),
            waiting=self._engine.waiting,
            memory_bytes=_resident_bytes(),
            methods=self._metrics.methods(),
        )
        return statistics_message(statistics)

    async def _alone(self, work: Callable[[Callable[[], bool]], Timed]) -> Timed:
        """Run long work, one at a time. Its argument returns False once the caller has left."""
        left = threading.Event()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._one_at_a_time, work, lambda: not left.is_set())
        finally:
            left.set()


def _counts(engine: LiveRecommender) -> Counts:
    return engine.counts


def _resident_bytes() -> int:
    """Resident memory of this process, from Linux's `/proc`."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
