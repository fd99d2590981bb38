import asyncio
import socketserver
import threading
from dataclasses import replace

import pytest

import serving.client
from dataset.arrays import StringColumn
from serving.client import RecommenderClient
from serving.engine import Engine, EngineConfig
from serving.kept import NOTHING
from serving.live_engine import LiveEngine
from serving.query import (
    Answer,
    Basis,
    Coverage,
    InvalidQueryError,
    Limits,
    Method,
    RankedItem,
    Source,
    UnknownItemError,
)
from serving.server import Server, ServerConfig

SECONDS = 10


@pytest.fixture(autouse=True, scope="session")
def no_idle_waits():
    """Clients retry sooner, and the metrics server stops sooner."""
    with pytest.MonkeyPatch.context() as patch:
        quick = [
            (name, value.replace('"0.1s"', '"0.01s"') if isinstance(value, str) else value)
            for name, value in serving.client.OPTIONS
        ]
        assert quick != list(serving.client.OPTIONS)
        patch.setattr(serving.client, "OPTIONS", tuple(quick))
        patch.setattr(socketserver.BaseServer.serve_forever, "__defaults__", (0.02,))
        yield


@pytest.fixture(scope="session")
def renamed(build_release, tmp_path_factory, shop):
    """Stages of the shop with another title of i238."""
    titles = list(shop.titles)
    titles[238] = "navy navy"
    data = replace(shop, titles=StringColumn.of(titles), texts=StringColumn.of(titles))
    return build_release(tmp_path_factory.mktemp("renamed") / "shop", data, epochs=1)


@pytest.fixture(scope="session")
def base(release):
    return Engine.load(release, EngineConfig(ranked=6, limits=Limits(shortlist=12)))


@pytest.fixture
def root(release, tmp_path):
    """The release's stages in a folder of their own, by links."""
    root = tmp_path / "shop"
    root.mkdir()
    for stage in ("data", "trial", "towers", "index", "ranker"):
        (root / stage).symlink_to(release / stage)
    return root


@pytest.fixture
def engine(base, root):
    """Live, of the base."""
    engine = LiveEngine(base, root)
    yield engine
    engine.close()


class FakeRecommender:
    """Remembers what it was asked; answers with `answer` or `error` once `gate` is open."""

    def __init__(self):
        self.versions = {"data": "d1", "towers": "t1", "index": "i1", "ranker": "r1"}
        self.actions = ()
        self.moment = object()
        self.lookups = {}
        self.answer = Answer(
            items=[
                RankedItem(
                    item_id="50",
                    title="Star Wars [1977]",
                    score=2.5,
                    tower_score=0.75,
                    neighbour_score=0.25,
                    sources=(Source.TOWERS, Source.NEIGHBOURS),
                    shortlist_rank=3,
                    ranker_score=2.5,
                ),
                RankedItem(
                    item_id="7",
                    title="Été 日本",
                    score=0.125,
                    tower_score=None,
                    neighbour_score=None,
                    sources=(),
                    shortlist_rank=None,
                    ranker_score=None,
                ),
            ],
            basis=Basis.HISTORY,
            coverage=Coverage(corpus=9, searched=8, recalled=5, ranked=2),
            unknown_item_ids=("gone",),
            milliseconds={"user_tower": 1.5, "index": 0.25, "ranker": 20.0, "total": 22.0},
        )
        self.error = None
        self.calls = []
        self.threads = set()
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def cost(self, ask):
        return 1

    def answers(self, asks):
        for place, ask in enumerate(asks):
            try:
                yield place, self._answer(ask)
            except (InvalidQueryError, UnknownItemError) as error:
                yield place, error

    def _answer(self, ask):
        if ask.method is Method.SIMILAR:
            query = ask.query
            return self._respond("similar", ask.item_id, query.limit, query.filters, query.exclude)
        if ask.method is Method.RANK:
            return self._respond("rank", ask.query, ask.candidates)
        return self._respond(ask.method.value, ask.query)

    def _respond(self, *call):
        self.calls.append(call)
        self.threads.add(threading.current_thread().name)
        self.entered.set()
        assert self.gate.wait(SECONDS)
        if self.error is not None:
            raise self.error
        return self.answer


class RunningServer:
    """A server on an event loop of another thread."""

    def __init__(self, loop, load, config, parts):
        self._loop, self._load, self._config, self._parts = loop, load, config, parts
        self.server = self._wait(self._start())
        self.address = self.server.address
        self.loaded = self._submit(self.server.ready())

    def settle(self):
        """Return when the loop has done what it was to do after the answers that went out."""
        self._wait(asyncio.sleep(0))

    def drain(self):
        """Begin to drain; the future is done when it is over."""
        return self._submit(self.server.__aexit__(None, None, None))

    async def _start(self):
        return await Server(self._load, self._config, **self._parts).__aenter__()

    def _submit(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def _wait(self, coroutine):
        return self._submit(coroutine).result(SECONDS)


@pytest.fixture(scope="session")
def event_loop_thread():
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def fake():
    return FakeRecommender()


@pytest.fixture
def start(event_loop_thread):
    """Start a server of an engine that `load` makes."""
    running = []

    def start(load, *, parts=None, **options):
        config = ServerConfig(**{"port": 0, "grace_seconds": 5.0, "cache": NOTHING, **options})
        running.append(RunningServer(event_loop_thread, load, config, parts or {}))
        return running[-1]

    yield start
    for server in running:
        server.drain().result(SECONDS)


@pytest.fixture
def server(start, fake):
    running = start(lambda: fake)
    running.loaded.result(SECONDS)
    yield running
    fake.gate.set()


@pytest.fixture
def client(server):
    with RecommenderClient(server.address, timeout=SECONDS) as client:
        yield client
