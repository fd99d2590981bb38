"""Fixtures of a server on a free port, with a fake or a real engine."""

import asyncio
import threading
from dataclasses import replace

import pytest
import uvloop

import shortlist_client.channel
from retrieval.cache_config import NO_CACHE
from serving.api.errors import UnknownItemError
from serving.api.request import Method
from serving.engine.engine import Engine
from serving.server.config import ServerConfig
from serving.server.server import Server
from shortlist_client.api.answer import Answer, Basis, Coverage, RankedItem, Source
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.client import RecommenderClient
from tests.fake_replies import PROFILE, REPLY

SECONDS = 10


class LoopOfAThread(uvloop.Loop):
    """The kind of event loop that `serving serve` runs, in a thread that signals do not reach."""

    def add_signal_handler(self, *_):
        pass


class FakeRecommender:
    """Records its calls; once `gate` is open, returns `answer` or raises `error`."""

    def __init__(self):
        self.versions = {"data": "d1", "towers": "t1", "index": "i1", "ranker": "r1"}
        self.actions = ()
        self.version_token = object()
        self.cache_lookups = {}
        self.pasts = {}
        self.age_seconds = None
        self.answer = Answer(
            items=[
                RankedItem(
                    item_id="50",
                    title="Star Wars [1977]",
                    score=2.5,
                    tower_score=0.75,
                    neighbour_score=0.25,
                    probability=0.5,
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
        self.profile, self.reply = PROFILE, REPLY
        self.error = None
        self.calls, self.requests = [], []
        self.threads = set()
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    @property
    def current(self):
        return self

    def past(self, user_id):
        return self.pasts.get(user_id, [])

    def follow(self):
        """Nobody else changes items."""

    close = follow

    def recount(self, store, actions, *, stopped):
        """Counts nothing."""

    def cost(self, request):
        return 1

    def answers(self, requests):
        for place, request in enumerate(requests):
            try:
                yield place, self._answer(request)
            except (InvalidRequestError, UnknownItemError) as error:
                yield place, error

    def _answer(self, request):
        self.requests.append(request)
        if request.method is Method.SIMILAR:
            return self._respond("similar", request.item_id, request.wishes)
        if request.method is Method.RANK:
            return self._respond("rank", request.candidates, request.shopper, request.wishes)
        answer = self._respond(request.method.value, request.shopper, request.wishes)
        if request.method is Method.PROFILE:
            return replace(answer, items=[], profile=self.profile)
        if request.method is Method.ANSWER:
            return replace(answer, items=[], reply=self.reply)
        return answer

    def _respond(self, *call):
        self.calls.append(call)
        self.threads.add(threading.current_thread().name)
        self.entered.set()
        assert self.gate.wait(SECONDS)
        if self.error is not None:
            raise self.error
        return self.answer


class _Unchanging:
    """A release whose items nobody changes."""

    age_seconds = None

    def __init__(self, engine):
        self.current = engine

    def follow(self):
        pass

    def recount(self, store, actions, *, stopped):
        """Counts nothing."""

    close = follow


class RunningServer:
    """A server on the event loop of another thread."""

    def __init__(self, loop, load, config, parts):
        self._loop, self._load, self._config, self._parts = loop, load, config, parts
        self.server = self._wait(self._start())
        self.address = self.server.address
        self.loaded = self._submit(self.server.ready())

    def settle(self):
        """Wait for the loop's work after the answers that were sent."""
        self._wait(asyncio.sleep(0))

    def tasks(self):
        """Descriptions of the loop's tasks."""
        return [repr(task) for task in asyncio.all_tasks(self._loop)]

    def drain(self):
        """Start to drain; the future is done when the server has stopped."""
        return self._submit(self.server.__aexit__(None, None, None))

    def _live(self):
        """The loaded engine; an `Engine`, whose items never change, is wrapped to look live."""
        loaded = self._load()
        return _Unchanging(loaded) if isinstance(loaded, Engine) else loaded

    async def _start(self):
        return await Server(self._live, self._config, **self._parts).__aenter__()

    def _submit(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def _wait(self, coroutine):
        return self._submit(coroutine).result(SECONDS)


@pytest.fixture(autouse=True, scope="session")
def no_idle_waits():
    """Clients retry after a tenth of the usual pause."""
    with pytest.MonkeyPatch.context() as patch:
        quick = [
            (name, value.replace('"0.1s"', '"0.01s"') if isinstance(value, str) else value)
            for name, value in shortlist_client.channel.OPTIONS
        ]
        assert quick != list(shortlist_client.channel.OPTIONS)
        patch.setattr(shortlist_client.channel, "OPTIONS", tuple(quick))
        yield


@pytest.fixture(scope="session")
def event_loop_thread():
    loop = LoopOfAThread()
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
    """Function that starts a server with the engine that `load` returns."""
    running = []

    def start(load, *, parts=None, **options):
        config = ServerConfig(**{"port": 0, "grace_seconds": 5.0, "cache": NO_CACHE, **options})
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
