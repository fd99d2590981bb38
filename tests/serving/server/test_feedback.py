import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import grpc
import pytest
import yaml

from events.open_store import open_store
from serving.server.access.credentials import digest_of
from serving.server.interceptors.statuses import MESSAGE_BYTES
from serving.server.servicers.feedback import FeedbackServicer
from serving.server.users.events_config import EventsConfig
from shortlist_client.api.event import Event
from shortlist_client.api.request import Shopper
from shortlist_client.client import RecommenderClient
from shortlist_client.proto.recommender.v1 import feedback_pb2 as pb
from shortlist_client.proto.recommender.v1.feedback_pb2_grpc import FeedbackServiceStub
from shortlist_client.wire.feedback import event_message

SECONDS = 10


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "events.sqlite"))


@pytest.fixture
def serving(start, fake, store):
    """Start a server with the store; the fake engine answers."""

    def serving(**events):
        running = start(lambda: fake, parts={"store": store, "events": EventsConfig(**events)})
        running.loaded.result(SECONDS)
        return running

    return serving


@pytest.fixture
def served(serving):
    return serving()


@pytest.fixture
def channel(served):
    with grpc.insecure_channel(served.address) as channel:
        yield channel


@pytest.fixture
def client(served):
    with RecommenderClient(served.address, timeout=SECONDS) as client:
        yield client


def record(channel, *messages, token=None):
    stub = FeedbackServiceStub(channel)
    metadata = [("authorization", f"Bearer {token}")] if token else []
    return list(stub.Record(iter(messages), timeout=SECONDS, metadata=metadata))


def message(*events):
    return pb.RecordRequest(events=map(event_message, events))


def event(event_id, **fields):
    values = {"user_id": "u", "item_id": "i", "action": "purchase", "time": 100, **fields}
    return Event(event_id=event_id, **values)


def recent(fake):
    """Ids of the recent events in each of the engine's requests."""
    return [[event.event_id for event in request.recent] for request in fake.requests]


def test_acknowledged_events_are_stored_as_sent(channel, store):
    sent = [event("a", request_id="r", position=4), event("b", action="view", user_id="日本")]

    (response,) = record(channel, message(*sent))

    assert response == pb.RecordResponse(recorded=2)
    assert list(store.scan()) == sent


def test_every_message_is_acknowledged_in_order(channel, store):
    sizes = [1, 5, 2, 7, 3] * 8
    names = iter(range(1000))
    messages = [message(*(event(f"e{next(names):03}") for _ in range(size))) for size in sizes]

    responses = record(channel, *messages)

    assert [response.recorded for response in responses] == sizes
    stored = [event.event_id for event in store.scan()]
    assert stored == sorted(stored)
    assert len(stored) == sum(sizes)


def test_events_that_are_sent_again_are_stored_once(channel, store):
    record(channel, message(event("a"), event("b")))

    (response,) = record(channel, message(event("a"), event("b"), event("c")))

    assert response == pb.RecordResponse(recorded=1, known_before=2)
    assert len(list(store.scan())) == 3


def test_the_reason_of_a_rejected_event_is_cut(channel):
    (response,) = record(channel, message(event("a", user_id="\0" * 256)))

    assert response.rejected[0].reason.startswith("user_id must be text without NUL")
    assert len(response.rejected[0].reason.encode()) == MESSAGE_BYTES


def test_invalid_events_are_rejected_by_row_and_the_others_stored(channel, store):
    record(channel, message(event("taken")))
    rows = [
        event("a"),
        event("b", user_id=""),
        event("taken", item_id="other"),
        event("c", time=int(time.time()) + 100_000),
        event("d"),
        event("", item_id="x"),
        event("e", position=0),
        event("f", action="x" * 257),
    ]

    (response,) = record(channel, message(*rows))

    assert response.recorded == 2
    assert {row.row: (row.event_id, row.reason.split(" must")[0]) for row in response.rejected} == {
        1: ("b", "user_id"),
        2: ("taken", "event_id"),
        3: ("c", "time"),
        5: ("", "event_id"),
        6: ("e", "position"),
        7: ("f", "action"),
    }
    assert [event.event_id for event in store.scan()] == ["taken", "a", "d"]


def test_event_ids_belong_to_the_client_that_sends_them(start, fake, store, tmp_path):
    path = tmp_path / "clients.yaml"
    path.write_text(
        yaml.safe_dump(
            [
                {"client": name, "sha256": digest_of(name).hex(), "roles": ["feedback"]}
                for name in ("shop", "app")
            ]
        )
    )
    running = start(lambda: fake, parts={"store": store}, tokens=path)
    running.loaded.result(SECONDS)

    with grpc.insecure_channel(running.address) as channel:
        record(channel, message(event("order-1")), token="shop")
        guessed = record(channel, message(event("order-1")), token="app")
        squatted = record(channel, message(event("order-1", item_id="j")), token="app")
        again = record(channel, message(event("order-1")), token="shop")

    assert guessed == [pb.RecordResponse(recorded=1)]
    assert squatted[0].rejected[0].event_id == "order-1"
    assert again == [pb.RecordResponse(known_before=1)]


def test_a_clock_that_is_set_back_refuses_no_event_of_now(channel, served, store, monkeypatch):
    now = int(time.time())
    back = SimpleNamespace(time=lambda: now - 3 * 86_400, monotonic=time.monotonic)
    monkeypatch.setattr("serving.server.users.clock.time", back)
    bare = pb.Event(event_id="b", user_id="u", item_id="i", action="click")

    (response,) = record(channel, message(event("a", time=now)), pb.RecordRequest(events=[bare]))[
        :1
    ]

    assert response == pb.RecordResponse(recorded=1)
    assert all(stored.time >= now for stored in store.scan())


@pytest.mark.parametrize("rows", [0, 1001])
def test_a_message_with_too_few_or_too_many_events_ends_the_stream(channel, store, rows):
    stub = FeedbackServiceStub(channel)
    messages = [message(event("a")), message(*(event(str(n)) for n in range(rows)))]

    responses = stub.Record(iter(messages), timeout=SECONDS)

    assert next(responses).recorded == 1
    with pytest.raises(grpc.RpcError) as caught:
        next(responses)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == f"events must be 1 to 1,000 a message, got {rows:,}"
    assert len(list(store.scan())) == 1


def test_an_event_without_a_time_gets_the_time_of_arrival(channel, store):
    bare = pb.Event(event_id="a", user_id="u", item_id="i", action="click")

    record(channel, pb.RecordRequest(events=[bare]))

    (stored,) = store.scan()
    assert abs(stored.time - time.time()) < 60


def test_a_failing_store_is_unavailable_and_its_error_only_logged(channel, store, caplog):
    store.close()

    with pytest.raises(grpc.RpcError) as caught:
        record(channel, message(event("a")))

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert caught.value.details() == "events cannot be stored now"
    assert "events.sqlite" in caplog.text


def test_a_purchase_is_in_the_history_of_the_next_request(channel, client, fake):
    for n in range(10):
        record(channel, message(event(f"e{n}", time=n)))
        client.recommend(Shopper(user_id="u"))
    client.retrieve(Shopper(user_id="u"))
    client.rank(["c"], Shopper(user_id="u"))

    everything = [f"e{n}" for n in range(10)]
    assert recent(fake) == [*(everything[: n + 1] for n in range(10)), everything, everything]


def test_events_are_read_only_for_a_user_without_a_given_history(channel, client, fake):
    record(channel, message(event("a")))

    client.recommend(Shopper(user_id="other"))
    client.recommend(Shopper(user_id="u", history=["i3"]))
    client.recommend(Shopper(history=["i3"]))
    client.recommend(Shopper(user_id="u" * 257))
    client.recommend(Shopper(user_id="u\0"))
    client.recommend(Shopper(user_id="u"))

    assert recent(fake) == [[], [], [], [], [], ["a"]]


ALL = ["purchase", "click", "view", "impression"]


@pytest.mark.parametrize(
    ("known", "config", "counted"),
    [
        ((), None, ["purchase"]),
        (("view", "buy"), None, ["purchase", "view"]),
        (("click",), None, ["purchase", "click"]),
        (("view",), ("click",), ["click"]),
        (("view",), (), []),
    ],
)
def test_by_default_purchases_and_the_releases_actions_belong_to_a_history(
    serving, fake, known, config, counted
):
    fake.actions = known
    server = serving(history=config)
    with grpc.insecure_channel(server.address) as channel:
        record(channel, message(*(event(name, action=name) for name in ALL)))

    with RecommenderClient(server.address) as client:
        client.recommend(Shopper(user_id="u"))

    assert recent(fake) == [counted]


def test_actions_are_folded_when_they_are_recorded(serving, fake):
    fake.actions = ("view", "hide")
    sent = [event("a", action=" Hide"), event("b", action="VIEW "), event("c", action="scan")]
    server = serving()
    with grpc.insecure_channel(server.address) as channel:
        record(channel, message(*sent))

    with RecommenderClient(server.address) as client:
        client.recommend(Shopper(user_id="u"))

    (request,) = fake.requests
    assert [event.action for event in request.recent] == ["hide", "view"]


def test_only_the_newest_events_of_a_long_history_are_read(serving, fake):
    server = serving(history_length=3)
    with grpc.insecure_channel(server.address) as channel:
        record(channel, message(*(event(f"e{n}", time=n) for n in range(10))))

    with RecommenderClient(server.address) as client:
        client.recommend(Shopper(user_id="u"))

    assert recent(fake) == [["e7", "e8", "e9"]]


def test_an_open_stream_ends_when_the_server_stops(serving, store):
    server = serving()
    more, responses = [message(event("a"))], None

    def forever():
        while True:
            while more:
                yield more.pop()
            time.sleep(0.01)

    with grpc.insecure_channel(server.address) as channel:
        responses = FeedbackServiceStub(channel).Record(forever(), timeout=SECONDS)
        assert next(responses).recorded == 1
        started = time.monotonic()
        drained = server.drain()
        with pytest.raises(grpc.RpcError) as caught:
            next(responses)
        drained.result(SECONDS)

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "send what was not acknowledged again" in caught.value.details()
    assert time.monotonic() - started < 4.5  # the grace period has 5


def test_concurrent_streams_lose_no_event_and_keep_its_order(serving, store):
    server = serving()

    def send(worker):
        with grpc.insecure_channel(server.address) as channel:
            messages = [
                message(*(event(f"{worker}-{n}-{m}", user_id=f"u{worker}") for m in range(3)))
                for n in range(20)
            ]
            return [response.recorded for response in record(channel, *messages)]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(send, range(8))) == [[3] * 20] * 8

    assert len(list(store.scan())) == 480
    for worker in range(8):
        mine = [event.event_id for event in store.history(f"u{worker}", ["purchase"], 1000)]
        assert mine == [f"{worker}-{n}-{m}" for n in range(20) for m in range(3)]


def test_a_server_without_a_store_has_no_feedback_service(server):
    with grpc.insecure_channel(server.address) as channel, pytest.raises(grpc.RpcError) as caught:
        record(channel, message(event("a")))

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_client_does_not_wait_for_all_messages_of_another_one():
    events = SimpleNamespace(clock=SimpleNamespace(latest=time.time))
    long = pb.RecordRequest(events=[pb.Event()] * 1_000)  # breaks rules: nothing is stored
    finished = []

    async def ask(servicer, host, message):
        async def once():
            yield message

        context = SimpleNamespace(peer=lambda: f"ipv4:{host}:1")
        assert len([answer async for answer in servicer.Record(once(), context)]) == 1
        finished.append(host)

    async def all_at_once():
        servicer = FeedbackServicer(events, asyncio.Event())
        short = pb.RecordRequest(events=[pb.Event()])
        greedy = [ask(servicer, "greedy", long) for _ in range(20)]
        await asyncio.gather(*greedy, ask(servicer, "quiet", short))

    asyncio.run(all_at_once())

    assert finished.index("quiet") < 5
