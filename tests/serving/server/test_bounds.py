"""No message that the server accepts keeps its event loop or its engine busy for long."""

import asyncio
import time
from functools import partial
from itertools import islice
from types import SimpleNamespace

import grpc
import pytest
from grpc import aio
from tqdm import tqdm

from events.event import Outcome
from events.open_store import open_store
from retrieval.cache_config import CacheConfig
from serving.api.errors import MessageTooLargeError
from serving.api.limits import DEFAULT_LIMITS, Limits
from serving.api.validation import check_item
from serving.batching.engine_thread import EngineThread
from serving.batching.request_queue import QueueConfig
from serving.server.answer_cache import AnswerCache
from serving.server.interceptors.errors import ErrorInterceptor
from serving.server.interceptors.message_size import (
    MessageSizeInterceptor,
    bounded,
    most_bytes,
)
from serving.server.metrics import Metrics
from serving.server.servicers.admin import AdminServicer
from serving.server.servicers.catalog import CatalogServicer
from serving.server.servicers.feedback import FeedbackServicer
from serving.server.servicers.privacy import PrivacyServicer
from serving.server.servicers.recommender import RecommenderServicer
from shortlist_client.api.answer import Answer, Basis, Coverage, RankedItem, Reason, TextReason
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.item import Item, KnownItem
from shortlist_client.proto.recommender.v1 import (
    admin_pb2_grpc,
    catalog_pb2_grpc,
    feedback_pb2_grpc,
    privacy_pb2_grpc,
    recommender_pb2,
    recommender_pb2_grpc,
)
from tests.running_server import FakeRecommender
from tests.serving.server.hostile import methods
from tests.serving.server.worst_messages import filled, held, ids, largest

LOOP_SECONDS = 0.020
"""Longest time for which the event loop may do nothing else, processor seconds"""
NOISE = 2.5
"""Factor for other load on the machine, whose caches the test shares"""
REPEATS, SUSPECTS = 3, 3
"""Measurements of the worst messages, of which the shortest counts; messages measured so often"""
EVERY = 47
"""The quick test takes one of so many messages, from every part of the search"""
METHODS = methods()


class Aborted(aio.AbortError):
    def __init__(self, code, details):
        super().__init__(details)
        self.code, self.details = code, details


class Context:
    """The part of a call's context that the servicers use."""

    def time_remaining(self):
        return None

    def invocation_metadata(self):
        return ()

    def peer(self):
        return "test"

    async def abort(self, code, details="", trailing_metadata=()):
        raise Aborted(code, details)


class Handlers(dict):
    """Collects the handlers of services as a server would."""

    def add_generic_rpc_handlers(self, handlers):
        for path in METHODS:
            details = SimpleNamespace(method=path, invocation_metadata=())
            found = [one for of in handlers if (one := of.service(details)) is not None]
            self.update([(path, one) for one in found])


class FullRecommender(FakeRecommender):
    """Answers with as much as an answer may hold; keeps any item."""

    def __init__(self):
        super().__init__()
        reasons = tuple(Reason(item_id=one, contribution=1.0) for one in ids(20, 256))
        fields = tuple(TextReason(field=f"field {n}", contribution=1.0) for n in range(8))
        self.answer = Answer(
            items=[
                RankedItem(
                    item_id=one,
                    title="t" * 2_048,
                    score=1.0,
                    tower_score=1.0,
                    neighbour_score=1.0,
                    sources=(),
                    shortlist_rank=1,
                    ranker_score=1.0,
                    reasons=reasons,
                    text_reasons=fields if place < 20 else (),
                )
                for place, one in enumerate(ids(DEFAULT_LIMITS.shortlist, 256))
            ],
            basis=Basis.HISTORY,
            coverage=Coverage(corpus=9, searched=8, recalled=5, ranked=2),
            milliseconds={"total": 1.0},
            unknown_item_ids=tuple(ids(2_000, 30)),
        )

    @property
    def version_token(self):
        return object()  # so that no answer comes from the cache

    @version_token.setter
    def version_token(self, _):
        pass

    def past(self, user_id):
        return ()

    def check(self, item):
        check_item(item, DEFAULT_LIMITS)

    def upsert(self, items):
        pass

    def delete(self, item_ids):
        pass

    def find(self, item_id):
        return KnownItem(item=Item(item_id=item_id, title="t", attributes={"a": 1}), changed=False)


class Loop:
    """Measures how long the event loop is busy with a message, without sockets."""

    def __init__(self, limits):
        self._runner, self._limits = asyncio.Runner(), limits
        self._handlers = self._runner.run(self._made())

    async def _made(self):
        async def append(events, **_):
            await asyncio.sleep(0)
            return [Outcome.RECORDED] * len(events)

        async def nothing(_):
            return 0

        self._engine = EngineThread(FullRecommender, QueueConfig())
        self._engine.__enter__()
        await self._engine.ready()
        draining, handlers = asyncio.Event(), Handlers()
        recommender = RecommenderServicer(
            self._engine,
            None,
            AnswerCache(CacheConfig()),
            draining=draining,
            stream_requests=2,
            limits=self._limits,
        )
        recommender_pb2_grpc.add_RecommenderServiceServicer_to_server(recommender, handlers)
        catalog = CatalogServicer(self._engine, draining)
        catalog_pb2_grpc.add_CatalogServiceServicer_to_server(catalog, handlers)
        clock = SimpleNamespace(latest=time.time)
        feedback = FeedbackServicer(SimpleNamespace(append=append, clock=clock), draining)
        feedback_pb2_grpc.add_FeedbackServiceServicer_to_server(feedback, handlers)
        admin = AdminServicer(self._engine, None, metrics=Metrics(), user_events=None)
        admin_pb2_grpc.add_AdminServiceServicer_to_server(admin, handlers)
        users = SimpleNamespace(erase=nothing, export=lambda _: iter(()), read=nothing)
        privacy = PrivacyServicer(self._engine, users)
        privacy_pb2_grpc.add_PrivacyServiceServicer_to_server(privacy, handlers)
        self._closing = [catalog, admin]
        return {path: await self._guarded(path, one) for path, one in handlers.items()}

    async def _guarded(self, path, handler):
        """The handler behind the interceptors that a server has."""
        details = SimpleNamespace(method=path, invocation_metadata=())

        async def plain(_):
            return handler

        async def sized(asked):
            return await MessageSizeInterceptor(self._limits).intercept_service(plain, asked)

        return await ErrorInterceptor().intercept_service(sized, details)

    def close(self):
        async def end():
            for servicer in self._closing:
                await servicer.close()
            self._engine.__exit__(None, None, None)

        self._runner.run(end())
        self._runner.close()

    def busy(self, path, wire):
        """Longest time, seconds, that the loop lets nothing else run, and the status."""
        self.longest = 0.0
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asyncio.events.Handle, "_run", self._timed(asyncio.events.Handle._run))
            status = self._runner.run(self._status(self._handlers[path], wire))
        return self.longest, status

    def _timed(self, run):
        """Runs one step of the loop; processor time does not count other processes."""

        def timed(handle):
            started = time.thread_time()
            run(handle)
            self.longest = max(self.longest, time.thread_time() - started)

        return timed

    async def _status(self, handler, wire):
        async def stream():
            yield handler.request_deserializer(wire)

        status, context = grpc.StatusCode.OK, Context()
        try:
            if handler.unary_unary is not None:
                request = handler.request_deserializer(wire)
                responses = [await handler.unary_unary(request, context)]
                del request
            elif handler.unary_stream is not None:
                request = handler.request_deserializer(wire)
                responses = [one async for one in handler.unary_stream(request, context)]
                del request
            else:
                responses = [one async for one in handler.stream_stream(stream(), context)]
            await asyncio.sleep(0)  # as gRPC waits before it encodes
            for response in responses:
                handler.response_serializer(response)
        except Aborted as error:
            status = error.code
        return status

    def worst(self, path, messages):
        """The longest time of some messages, its description and status."""
        times = [(self.busy(path, make())[0], name, make) for name, make in messages]
        suspects = sorted(times, key=lambda one: -one[0])[:SUSPECTS]
        return max(
            (min((self.busy(path, make()) for _ in range(REPEATS)), key=lambda one: one[0]), name)
            for _, name, make in suspects
        )


@pytest.fixture(scope="module")
def loop():
    loop = Loop(DEFAULT_LIMITS)
    yield loop
    loop.close()


def requests_of(path, every):
    """Every `every`th message that fills the accepted size, and the largest legal ones."""
    size = most_bytes(path, DEFAULT_LIMITS)
    yield from islice(filled(METHODS[path].input_type, size), 0, None, every)
    for place, wire in enumerate(largest(DEFAULT_LIMITS).get(path.rsplit("/", 1)[1], [])):
        yield f"legal {place}", partial(bytes, wire)


@pytest.mark.parametrize("path", sorted(METHODS))
def test_no_message_keeps_the_event_loop_busy_for_long(loop, path):
    (seconds, status), name = loop.worst(path, requests_of(path, every=EVERY))

    assert seconds < NOISE * LOOP_SECONDS, (name, status)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("path", sorted(METHODS))
def test_none_of_all_messages_keeps_the_event_loop_busy_for_long(loop, path, capsys):
    (seconds, status), name = loop.worst(path, requests_of(path, every=1))

    with capsys.disabled():
        tqdm.write(f"{path[-20:]:20} {1e3 * seconds:5.1f} ms  {status.name:18} {name}")
    assert seconds < NOISE * LOOP_SECONDS, (name, status)


def test_the_search_finds_empty_clauses_and_distinct_keys():
    clause, keys = held(2, held(2, b"\x0a\x00" * 9)), b"\x0a\x03\x0a\x010"

    recommend, upsert = (
        {name: make() for name, make in filled(METHODS[path].input_type, 1_000)}
        for path in (
            "/recommender.v1.RecommenderService/Recommend",
            "/recommender.v1.CatalogService/Upsert",
        )
    )

    assert any(
        wire.count(b"\x0a\x00") > 480 and wire[:1] == clause[:1] for wire in recommend.values()
    )
    assert any(keys in wire for wire in upsert.values())
    assert all(850 < len(wire) <= 1_000 for wire in [*recommend.values(), *upsert.values()])


def test_every_largest_message_is_accepted(loop):
    for name, messages in largest(DEFAULT_LIMITS).items():
        path = next(path for path in METHODS if path.endswith(f"/{name}"))
        assert messages
        for wire in messages:
            assert len(wire) <= most_bytes(path, DEFAULT_LIMITS), name
            assert loop.busy(path, wire)[1] is grpc.StatusCode.OK, name


@pytest.mark.parametrize("path", sorted(METHODS))
def test_a_server_refuses_more_bytes_than_a_call_accepts(start, fake, tmp_path, path):
    running = start(lambda: fake, parts={"store": open_store(str(tmp_path / "events.sqlite"))})
    running.loaded.result(10)
    wire = bytes(most_bytes(path, DEFAULT_LIMITS) + 1)

    def send(channel):
        if METHODS[path].client_streaming:
            return list(channel.stream_stream(path)(iter([wire]), timeout=10))
        if METHODS[path].server_streaming:
            return list(channel.unary_stream(path)(wire, timeout=10))
        return channel.unary_unary(path)(wire, timeout=10)

    with grpc.insecure_channel(running.address) as channel, pytest.raises(grpc.RpcError) as caught:
        send(channel)

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert f"must have at most {len(wire) - 1:,} bytes" in caught.value.details()


@pytest.mark.parametrize(
    ("wire", "rule"),
    [
        (held(1, held(2, b"a") * 3), "history must be at most 2 item ids, got 3"),
        (held(1, held(4, b"a") * 3), "history_actions must be as many as the 0 items"),
        (held(2, held(3, b"a") * 3), "exclude must be at most 2 item ids, got 3"),
        (held(2, held(2, held(1, b"") * 2 + held(3, b""))), "filters must be at most 2 clauses"),
        (
            held(2, held(2, held(1, held(2, held(1, b"") * 2)) + held(2, held(2, held(1, b""))))),
            "filters must be at most 2 values, got 3",
        ),
        (held(2, held(4, held(2, b"") * 3)), "at_most must be at most 2 attributes, got 3"),
        (held(1, held(6, bytes(12))), "vector must be at most 2 numbers, got 3"),
    ],
)
def test_counts_are_checked_before_anything_is_built(wire, rule):
    small = Limits(history=2, excluded=2, clauses=2, values=2, at_most=2, vector=2)
    loop = Loop(small)
    try:
        for name in ("Recommend", "Retrieve"):
            path = f"/recommender.v1.RecommenderService/{name}"
            with pytest.raises(Aborted, match=rule) as caught:
                loop._runner.run(_raised(loop._handlers[path], wire))
            assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    finally:
        loop.close()


async def _raised(handler, wire):
    await handler.unary_unary(handler.request_deserializer(wire), Context())


def test_too_many_bytes_and_foreign_messages_are_refused_by_name():
    read = bounded(recommender_pb2.RecommendRequest.FromString, 40)

    with pytest.raises(MessageTooLargeError, match="must have at most 40 bytes, got 41"):
        read(bytes(41))
    for foreign in (b"\x18\x05", b"\x7a\x01a"):
        with pytest.raises(InvalidRequestError, match="must hold a field of this contract"):
            read(foreign)
        read(held(2, b"") + foreign)  # a newer client's fields beside known ones
    read(b"")
    bounded(recommender_pb2.SimilarItemsRequest.FromString, 40)(held(1, b""))
