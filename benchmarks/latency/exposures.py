"""`python -m benchmarks.latency.exposures`: what logging exposures costs a caller of Recommend.

Two servers of one process answer from one engine; one logs every answer, the other none. Each
shopper is asked for at both, in random order, one request in flight.
"""

import asyncio
import logging
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry

from benchmarks.command import configuration, folders, machine, parser, save_figures
from benchmarks.quality.cascade_lists import case_shoppers
from dataset.arrays import load_dataset
from events.open_store import open_store
from events.privacy.erased_users import ErasedUsers
from lineage.cli import configure_logging, reported_errors
from lineage.stages import DATA
from retrieval.cache_config import NO_CACHE
from serving.api.request import Method, Request
from serving.server.config import ServerConfig
from serving.server.server import Server
from serving.server.users.clock import Clock
from serving.server.users.exposure_log import QUEUED, ExposureLog
from serving.server.users.exposures_config import ExposuresConfig
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb

if TYPE_CHECKING:
    from serving.engine.engine import Engine

logger = logging.getLogger("benchmarks.latency.exposures")
USERS = 200
WARM_REQUESTS = 50
RESAMPLES = 2_000
Floats = npt.NDArray[np.float64]
Figures = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ExposuresBenchConfig:
    """How many requests are compared."""

    requests: int = 2_000
    """Requests to each server."""
    limit: int = 20
    """Items of an answer."""

    def __post_init__(self) -> None:
        for name in ("requests", "limit"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


class _Unchanging:
    """An engine whose items nobody changes."""

    age_seconds = None

    def __init__(self, engine: "Engine") -> None:
        self.current = engine

    def follow(self) -> None:
        """Nothing to follow."""

    def recount(self, *_: object, **__: object) -> None:
        """Counts stay."""

    close = follow


@contextmanager
def serving(engine: "Engine", path: Path, *, rate: float) -> Iterator[RecommenderClient]:
    """Serve on an event loop of its own; yields a client."""
    import uvloop

    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def done(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    async def started() -> Server:
        config = ServerConfig(port=0, cache=NO_CACHE, reflection=False)
        exposures = ExposuresConfig(rate=rate)
        load: Any = partial(_Unchanging, engine)
        server = Server(load, config, store=open_store(str(path)), exposures=exposures)
        await server.__aenter__()
        await server.ready()
        return server

    server = done(started())
    try:
        with RecommenderClient(server.address, timeout=60) as client:
            yield client
    finally:
        done(server.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def compared(
    off: Callable[[Shopper], object],
    on: Callable[[Shopper], object],
    shoppers: Sequence[Shopper],
    requests: int,
) -> tuple[Floats, Floats]:
    """Milliseconds of each request without and with the log, both (requests,)."""
    chosen, times = np.random.default_rng(0), np.empty((WARM_REQUESTS + requests, 2))
    for number, row in enumerate(times):
        shopper = shoppers[number % len(shoppers)]
        for place in chosen.permutation(2).tolist():
            started = time.perf_counter()
            (off, on)[place](shopper)
            row[place] = 1e3 * (time.perf_counter() - started)
    return times[WARM_REQUESTS:, 0], times[WARM_REQUESTS:, 1]


def measured(config: ExposuresBenchConfig, root: Path) -> Figures:
    """All figures of the finished stages of a dataset.

    Raises:
        ArtifactError: a stage is missing, corrupt or does not fit.
    """
    from serving.engine.engine import Engine, EngineConfig

    data = load_dataset(root / DATA).for_refit()
    shoppers = case_shoppers(data, data.cases("test").sample(USERS, 0))
    shoppers = [replace(one, user_id=f"user {n}") for n, one in enumerate(shoppers)]
    engine, wishes = Engine.load(root, EngineConfig()), Wishes(limit=config.limit)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        without = stack.enter_context(serving(engine, folder / "off.sqlite", rate=0.0))
        logged = stack.enter_context(serving(engine, folder / "on.sqlite", rate=1.0))
        off, on = compared(
            lambda shopper: without.recommend(shopper, wishes),
            lambda shopper: logged.recommend(shopper, wishes),
            shoppers,
            config.requests,
        )
    return {
        "machine": machine(),
        "requests": config.requests,
        "items": config.limit,
        "off p50 ms": _rounded(np.median(off)),
        "on p50 ms": _rounded(np.median(on)),
        "off p99 ms": _rounded(np.percentile(off, 99)),
        "on p99 ms": _rounded(np.percentile(on, 99)),
        "median of on - off ms": _interval(on - off),
        **of_parts(config.limit),
    }


def of_parts(limit: int) -> Figures:
    """What one answer costs in the event loop, and in the thread that writes, microseconds.

    The second is time of the processor, which does not delay the answer.
    """
    items = [pb.RankedItem(item_id=f"item-{n}", score=n / 7) for n in range(limit)]
    request = Request(method=Method.RECOMMEND, shopper=Shopper(user_id="user"))
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(str(Path(folder) / "parts.sqlite"))
        log = ExposureLog(
            store.exposures,
            ExposuresConfig(rate=1.0),
            erased=ErasedUsers(),
            clock=Clock(),
            registry=CollectorRegistry(),
        )
        loop = []
        for _ in range(QUEUED):
            answer = pb.Answer(items=items)
            started = time.perf_counter()
            log.log(request, answer)
            loop.append(time.perf_counter() - started)
        cpu = time.process_time()
        log.start()
        log.stop()
        cpu = time.process_time() - cpu
        written = store.exposures.count()
        store.close()
    return {
        "event loop us": _rounded(1e6 * np.median(loop)),
        "writer us": _rounded(1e6 * cpu / written),
    }


def _interval(differences: Floats) -> Sequence[float]:
    """Median with its 95% interval, by bootstrap."""
    chosen = np.random.default_rng(0)
    drawn = chosen.integers(len(differences), size=(RESAMPLES, len(differences)))
    medians = np.median(differences[drawn], axis=1)
    return [_rounded(x) for x in (np.median(differences), *np.percentile(medians, (2.5, 97.5)))]


def _rounded(milliseconds: Any) -> float:
    return round(float(milliseconds), 3)


def main() -> None:
    """Measure on a dataset, and write `exposures.json`."""
    options = parser(
        "python -m benchmarks.latency.exposures",
        "What logging exposures costs a caller of Recommend.",
        ExposuresBenchConfig,
    )
    parsed = options.parse_args()
    configure_logging()
    with reported_errors():
        arguments = options.instantiate(parsed)
        root, reports = folders(arguments)
        figures = measured(configuration(arguments, ExposuresBenchConfig), root)
        logger.info("%s", figures)
        save_figures(reports, "exposures", figures)


if __name__ == "__main__":
    main()
