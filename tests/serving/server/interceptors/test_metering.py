"""Rows count against a client's budget, and a stream ends with the rights of its client."""

import asyncio
import gc
import queue
import time
from types import SimpleNamespace

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from serving.server.access.client import CLIENT
from serving.server.access.credentials import CREDENTIALS
from serving.server.access.errors import UnauthenticatedError
from serving.server.access.roles import contract_services
from serving.server.interceptors import metering
from serving.server.interceptors.metering import ROWS, MeteringInterceptor, rows_of
from shortlist_client.channel import open_channel
from shortlist_client.proto.recommender.v1 import (
    catalog_pb2,
    classifier_pb2,
    feedback_pb2,
    recommender_pb2,
)
from shortlist_client.proto.recommender.v1.catalog_pb2_grpc import CatalogServiceStub
from shortlist_client.proto.recommender.v1.classifier_pb2_grpc import ClassifierServiceStub
from shortlist_client.proto.recommender.v1.feedback_pb2_grpc import FeedbackServiceStub
from shortlist_client.proto.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub

SECONDS = 10
RECHECK = 0.1
ONE_ROW = {"RankRequest"}
"""Messages with a list that is not one of rows."""


@pytest.fixture(autouse=True)
def quick_checks(monkeypatch):
    assert metering.RECHECK_SECONDS <= 4  # a stream ends at most 5 s after its rights
    monkeypatch.setattr(metering, "RECHECK_SECONDS", RECHECK)


class Stream:
    """A stream to which the test sends messages, one at a time."""

    def __init__(self, method):
        self._sent = queue.Queue()
        self._responses = method(iter(self._sent.get, None), timeout=SECONDS)

    def ask(self, message):
        self._sent.put(message)
        return next(self._responses)

    def finish(self):
        self._sent.put(None)
        assert list(self._responses) == []

    def end(self):
        """The error with which the server ends the stream, while nothing is sent."""
        with pytest.raises(grpc.RpcError) as ended:
            next(self._responses)
        self._sent.put(None)
        return ended.value


@pytest.fixture
def channel(guarded):
    with open_channel(guarded.address, token="shop") as channel:
        yield channel


def events(first, count=1, user_id="u"):
    return feedback_pb2.RecordRequest(
        events=[
            feedback_pb2.Event(
                event_id=str(first + place), user_id=user_id, item_id="i", action="purchase"
            )
            for place in range(count)
        ]
    )


def retry_seconds(error):
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    (detail,) = rpc_status.from_call(error).details
    info = error_details_pb2.RetryInfo()
    detail.Unpack(info)
    return info.retry_delay.ToNanoseconds() / 1e9


def test_events_of_a_stream_count_against_the_budget(channel, clients, store):
    clients.put("shop", per_second=100)
    stream = Stream(FeedbackServiceStub(channel).Record)

    assert stream.ask(events(0, 1_000)).recorded == 1_000
    with pytest.raises(grpc.RpcError) as refused:
        stream.ask(events(1_000))

    assert 8 < retry_seconds(refused.value) < 10
    assert len(list(store.scan())) == 1_000


def test_messages_before_the_one_that_is_refused_are_acknowledged(channel, clients, store):
    clients.put("shop", per_second=5)
    answers = FeedbackServiceStub(channel).Record(
        iter([events(10 * number, 2) for number in range(9)]), timeout=SECONDS
    )
    acknowledged = []
    with pytest.raises(grpc.RpcError) as refused:
        acknowledged.extend(answer.recorded for answer in answers)

    assert retry_seconds(refused.value) > 0
    assert len(list(store.scan())) == sum(acknowledged) > 0


def test_requests_of_a_stream_count_against_the_budget(channel, clients, fake):
    clients.put("shop", per_second=3)
    requests = [recommender_pb2.RecommendStreamRequest()] * 50
    answers = RecommenderServiceStub(channel).RecommendStream(iter(requests), timeout=SECONDS)
    with pytest.raises(grpc.RpcError) as refused:
        list(answers)

    assert 0 < retry_seconds(refused.value) <= 1
    assert 3 <= len(fake.calls) < 50  # a busy machine may take more than a second


@pytest.mark.parametrize(
    "call",
    [
        lambda channel: CatalogServiceStub(channel).Get(
            catalog_pb2.GetRequest(item_ids=["a"] * 500), timeout=SECONDS
        ),
        lambda channel: RecommenderServiceStub(channel).Embed(
            recommender_pb2.EmbedRequest(
                texts=recommender_pb2.TextsToEmbed(texts=["a"] * 30),
            ),
            timeout=SECONDS,
        ),
        lambda channel: ClassifierServiceStub(channel).Classify(
            classifier_pb2.ClassifyRequest(texts=["a"] * 30), timeout=SECONDS
        ),
    ],
)
def test_ids_and_texts_of_a_plain_call_count_against_the_budget(channel, clients, fake, call):
    clients.put("shop", per_second=10)
    fake.find = lambda item_id: None
    call(channel)

    with pytest.raises(grpc.RpcError) as refused:
        call(channel)

    assert retry_seconds(refused.value) > 1


def test_a_budget_larger_than_the_message_is_not_touched_otherwise(channel, clients, fake):
    clients.put("shop", per_second=100)
    for _ in range(100):
        RecommenderServiceStub(channel).Recommend(
            recommender_pb2.RecommendRequest(), timeout=SECONDS
        )


def test_every_message_with_a_list_of_its_own_is_counted_by_its_rows():
    for service in contract_services():
        for method in service.methods:
            message = method.input_type
            lists = [field.name for field in message.fields if field.is_repeated]
            counted = message._concrete_class in ROWS
            assert counted == (bool(lists) and message.name not in ONE_ROW) or (
                message.name == "EmbedRequest"
            ), f"{message.name}: decide in `metering.py` what {lists} count"


def test_an_empty_message_is_a_row():
    assert rows_of(feedback_pb2.RecordRequest()) == 1


LATE = 50 * RECHECK  # half of the time limit of a stream; the machine may be busy


def record(channel):
    stream = Stream(FeedbackServiceStub(channel).Record)
    assert stream.ask(events(0)).recorded == 1
    return stream


def recommend(channel):
    stream = Stream(RecommenderServiceStub(channel).RecommendStream)
    assert stream.ask(recommender_pb2.RecommendStreamRequest()).HasField("answer")
    return stream


def reflect(channel):
    stream = Stream(reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo)
    assert stream.ask(reflection_pb2.ServerReflectionRequest(list_services=""))
    return stream


class Watch:
    def __init__(self, channel):
        watch = health_pb2_grpc.HealthStub(channel).Watch
        self.responses = watch(health_pb2.HealthCheckRequest(), timeout=SECONDS)
        next(self.responses)

    def end(self):
        with pytest.raises(grpc.RpcError) as ended:
            next(self.responses)
        return ended.value


def take_the_role(clients):
    clients.put("shop", roles=[])


def expire(clients):
    clients.put("shop", expires="2020-01-01 00:00:00")
    text = clients.path.read_text().replace("'2020-01-01 00:00:00'", "2020-01-01 00:00:00")
    clients.path.write_text(text)


STREAMS = [record, recommend, reflect, Watch]
ENDS = {
    "struck out": (lambda clients: clients.strike_out("shop"), "UNAUTHENTICATED"),
    "file deleted": (lambda clients: clients.path.unlink(), "UNAUTHENTICATED"),
    "expired": (expire, "UNAUTHENTICATED"),
    "bound": (lambda clients: clients.put("shop", certificate="CN=x"), "UNAUTHENTICATED"),
    "other users": (lambda clients: clients.put("shop", users="eu-"), "UNAVAILABLE"),
}


@pytest.mark.parametrize("begin", STREAMS)
@pytest.mark.parametrize("how", ENDS)
def test_an_idle_stream_ends_soon_after_its_clients_rights(channel, clients, begin, how):
    change, status = ENDS[how]
    clients.put("shop")
    stream, began = begin(channel), time.monotonic()

    change(clients)

    assert stream.end().code().name == status
    assert time.monotonic() - began < LATE


@pytest.mark.parametrize("begin", [record, recommend])
def test_a_stream_ends_when_its_role_is_taken(channel, clients, begin):
    clients.put("shop")
    stream = begin(channel)

    take_the_role(clients)

    assert stream.end().code().name == "PERMISSION_DENIED"


def test_a_stream_whose_engine_is_busy_ends_too(channel, clients, fake):
    clients.put("shop")
    fake.gate.clear()
    requests = [recommender_pb2.RecommendStreamRequest()] * 100
    answers = RecommenderServiceStub(channel).RecommendStream(iter(requests), timeout=SECONDS)
    assert fake.entered.wait(SECONDS)
    began = time.monotonic()
    clients.strike_out("shop")
    with pytest.raises(grpc.RpcError) as ended:
        next(answers)
    fake.gate.set()

    assert ended.value.code().name == "UNAUTHENTICATED"
    assert time.monotonic() - began < LATE


def test_the_stream_of_another_client_goes_on(channel, guarded, clients):
    clients.put("shop")
    clients.put("other")
    with open_channel(guarded.address, token="other") as others:
        stream, other = record(channel), Stream(FeedbackServiceStub(others).Record)
        clients.strike_out("shop")
        stream.end()

        assert other.ask(events(7)).recorded == 1
        other.finish()


def test_a_watch_without_a_token_goes_on(guarded, clients):
    clients.put("shop")
    with grpc.insecure_channel(guarded.address) as channel:
        watch = Watch(channel)
        clients.path.unlink()
        time.sleep(3 * RECHECK)
        assert watch.responses.is_active()
        watch.responses.cancel()


def test_a_stream_that_has_ended_leaves_no_task_behind(channel, guarded, clients):
    clients.put("shop")
    stream = record(channel)
    during = guarded.tasks()
    stream.finish()
    guarded.settle()

    assert any("_refused_later" in name for name in during)
    assert not any("_refused_later" in name for name in guarded.tasks())


@pytest.mark.parametrize("turns", range(5))
def test_a_caller_that_leaves_as_its_stream_fails_leaves_no_forgotten_error(turns, caplog):
    async def main():
        broken, ended = asyncio.Event(), asyncio.create_task(asyncio.sleep(SECONDS))

        async def work():
            await broken.wait()
            raise LookupError("no message")

        waiting = asyncio.create_task(metering._unless_ended(ended, work()))
        await asyncio.sleep(0.01)
        broken.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        ended.cancel()

    asyncio.run(main())
    gc.collect()

    assert not caplog.records


def test_one_request_with_many_answers_is_charged_once_and_answered(monkeypatch):
    charged = []
    budgets = SimpleNamespace(charge=lambda client, rows, prepaid: charged.append((rows, prepaid)))
    monkeypatch.setattr(metering, "rows_of", lambda request: 7)

    async def answers(request, context):
        for number in range(3):
            yield request, number

    async def continuation(details):
        return grpc.unary_stream_rpc_method_handler(answers)

    async def main():
        metering.CLIENT.set(SimpleNamespace(name="ops"))
        interceptor = metering.MeteringInterceptor(SimpleNamespace(budgets=budgets))
        details = SimpleNamespace(method="/recommender.v1.PrivacyService/Export")
        handler = await interceptor.intercept_service(continuation, details)
        return [answer async for answer in handler.unary_stream("asked", None)]

    assert asyncio.run(main()) == [("asked", 0), ("asked", 1), ("asked", 2)]
    assert charged == [(7, 1)]


@pytest.mark.parametrize("reads", [True, False])
def test_a_stream_ends_after_its_clients_rights_though_nobody_reads_its_answers(monkeypatch, reads):
    monkeypatch.setattr(metering, "RECHECK_SECONDS", 0.05)
    monkeypatch.setattr(metering, "UNREAD_SECONDS", 0.1)

    def refuse(*_):
        raise UnauthenticatedError("struck out")

    interceptor = MeteringInterceptor(SimpleNamespace(check_still=refuse))

    async def answers(request, context):
        while True:
            yield "answer"
            await asyncio.sleep(0.01)

    async def rpc():
        CLIENT.set("shop")
        CREDENTIALS.set("shown")
        monkeypatch.setattr(interceptor, "_charge", lambda *_, **__: None)
        async for _ in interceptor._streaming(answers, "/a/b")("request", None):
            await asyncio.sleep(0 if reads else SECONDS)  # as gRPC waits for the caller to read

    async def main():
        began = time.monotonic()
        with pytest.raises(UnauthenticatedError if reads else asyncio.CancelledError):
            await asyncio.create_task(rpc())
        await asyncio.sleep(0.2)  # an ended call is not cancelled later
        return time.monotonic() - began

    assert asyncio.run(main()) < SECONDS / 2
