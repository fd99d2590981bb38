"""Measures how long a message keeps the event loop of a server busy, without sockets."""

import asyncio
import time
from dataclasses import replace
from types import SimpleNamespace

import grpc
import pytest
from grpc import aio

from events.event import Outcome
from retrieval.cache_config import CacheConfig
from serving.api.limits import DEFAULT_LIMITS
from serving.api.request import Method
from serving.api.validation import check_item
from serving.batching.engine_thread import EngineThread
from serving.batching.request_queue import QueueConfig
from serving.server.answer_cache import AnswerCache
from serving.server.interceptors.errors import ErrorInterceptor
from serving.server.interceptors.message_size import MessageSizeInterceptor
from serving.server.metrics import Metrics
from serving.server.servicers.admin import AdminServicer
from serving.server.servicers.catalog import CatalogServicer
from serving.server.servicers.classifier import ClassifierServicer
from serving.server.servicers.feedback import FeedbackServicer
from serving.server.servicers.privacy import PrivacyServicer
from serving.server.servicers.recommender import RecommenderServicer
from shortlist_client.api.answer import Answer, Basis, Coverage, RankedItem, Reason, TextReason
from shortlist_client.api.classification import Label, Prediction
from shortlist_client.api.item import Item, KnownItem
from shortlist_client.api.reply import FaqEntry, FoundProduct, Reply
from shortlist_client.proto.recommender.v1 import (
    admin_pb2_grpc,
    catalog_pb2_grpc,
    classifier_pb2_grpc,
    feedback_pb2_grpc,
    privacy_pb2_grpc,
    recommender_pb2_grpc,
)
from tests.running_server import FakeRecommender
from tests.serving.server.bounds.largest_messages import ids
from tests.serving.server.hostile import methods

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
        labels = tuple(
            Label(label="l" * 256, probability=0.5) for _ in range(DEFAULT_LIMITS.labels)
        )
        entry = FaqEntry(entry_id="e" * 256, title="t" * 2_048, text="a" * 8_192, probability=0.5)
        product = FoundProduct(item_id="i" * 256, title="t" * 2_048, price="1.0", score=1.0)
        self.reply = Reply(
            answered=True,
            text="a" * 8_192,
            entry=entry,
            threshold=0.5,
            intent=labels[0],
            products=[product] * DEFAULT_LIMITS.shortlist,
        )
        self.predictions = [Prediction(labels=labels)] * DEFAULT_LIMITS.embedded

    def _answer(self, request):
        answer = super()._answer(request)
        if request.method in (Method.CLASSIFY_ITEMS, Method.CLASSIFY_TEXTS):
            return replace(answer, items=[], predictions=self.predictions)
        return answer

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
        classifier = ClassifierServicer(self._engine, limits=self._limits)
        classifier_pb2_grpc.add_ClassifierServiceServicer_to_server(classifier, handlers)
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
