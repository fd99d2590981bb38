"""Who is refused, before any message is read, and that no log shows a token."""

import logging
import threading

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection

from serving.server.access.roles import contract_services
from shortlist_client import Event
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.channel import open_channel
from shortlist_client.client import RecommenderClient
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb

SECONDS = 30
"""Longest wait; none of these calls should take more than a fraction of it"""
REFLECTION = f"/{reflection.SERVICE_NAME}/ServerReflectionInfo"
CONTRACT = [
    f"/{service.full_name}/{method.name}"
    for service in contract_services()
    for method in service.methods
]
METHODS = [*CONTRACT, REFLECTION, "/other.Service/Any", "/recommender.v1.AdminService/Any"]
RECOMMEND = "/recommender.v1.RecommenderService/Recommend"


def outcome(channel, method, *messages, metadata=(), half_close=True):
    """Status name of a call that sends messages, and maybe goes on without sending any."""
    left = threading.Event()

    def requests():
        yield from messages
        if not half_close:
            left.wait(SECONDS)

    call = channel.stream_stream(method)(requests(), metadata=metadata, timeout=SECONDS / 2)
    try:
        for _ in call:
            pass
    except grpc.RpcError as error:
        return error.code().name
    finally:
        left.set()
    return "OK"


@pytest.mark.parametrize("method", METHODS)
def test_a_call_without_a_token_is_refused_before_it_sends_a_message(guarded, clients, method):
    clients.put("shop")
    with open_channel(guarded.address) as channel:
        assert outcome(channel, method, half_close=False) == "UNAUTHENTICATED"
    with open_channel(guarded.address, token="wrong") as channel:
        assert outcome(channel, method, half_close=False) == "UNAUTHENTICATED"


@pytest.mark.parametrize("method", CONTRACT)
def test_a_call_without_the_role_is_refused_before_it_sends_a_message(guarded, clients, method):
    clients.put("nobody", roles=[])
    with open_channel(guarded.address, token="nobody") as channel:
        assert outcome(channel, method, half_close=False) == "PERMISSION_DENIED"


def test_a_method_that_does_not_exist_is_unimplemented_to_a_client(guarded, clients):
    clients.put("shop", roles=[])
    with open_channel(guarded.address, token="shop") as channel:
        assert outcome(channel, "/other.Service/Any") == "UNIMPLEMENTED"


def test_a_refused_call_never_reaches_the_engine(guarded, clients, fake):
    clients.put("nobody", roles=[])
    for token in (None, "wrong", "nobody"):
        with open_channel(guarded.address, token=token) as channel:
            message = pb.RecommendRequest().SerializeToString()
            assert outcome(channel, RECOMMEND, message) != "OK"

    assert not fake.calls


@pytest.mark.parametrize(
    "case",
    [
        ("spiffe://shop/a", {"uris": ["spiffe://shop/a"]}, True),
        ("spiffe://shop/a", {"uris": ["spiffe://shop/b"]}, False),
        ("spiffe://shop/a", {"common_name": "spiffe://shop/a"}, False),
        ("shop.example", {"dns": ["shop.example"], "common_name": "x"}, True),
        ("shop.example", {"common_name": "shop.example"}, False),
        ("CN=shop", {"common_name": "shop"}, True),
        ("CN=shop", {"common_name": "other", "dns": ["shop"]}, False),
    ],
)
@pytest.mark.parametrize("token", [True, False], ids=["with token", "alone"])
def test_a_client_needs_the_certificate_that_the_file_names(
    mutual, clients, authority, token, case
):
    certificate, shown, admitted = case
    clients.put("shop", roles=["read"], certificate=certificate, token=token)
    clients.put("other", roles=["read"], certificate="CN=nobody")
    credentials = authority.credentials("shop", **shown)
    given = "shop" if token else None
    with RecommenderClient(
        mutual.address, token=given, credentials=credentials, timeout=SECONDS
    ) as client:
        if admitted:
            assert client.recommend(Shopper()).items
            return
        with pytest.raises(grpc.RpcError) as refused:
            client.recommend(Shopper())
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_certificate_alone_gives_nothing_where_the_file_gives_it_nothing(
    mutual, clients, authority
):
    clients.put("shop", certificate="CN=shop")
    credentials = authority.credentials("shop", common_name="shop")
    with open_channel(mutual.address, credentials=credentials) as channel:
        for method in METHODS:
            assert outcome(channel, method, half_close=False) == "UNAUTHENTICATED"


@pytest.mark.parametrize("method", METHODS)
def test_another_certificate_is_refused_before_it_sends_a_message(
    mutual, clients, authority, method
):
    clients.put("shop", certificate="CN=shop")
    credentials = authority.credentials("other", common_name="other")
    with open_channel(mutual.address, token="shop", credentials=credentials) as channel:
        assert outcome(channel, method, half_close=False) == "UNAUTHENTICATED"


def test_every_kind_of_call_works_with_a_bound_certificate(mutual, clients, authority, fake):
    fake.past = lambda user_id: []
    clients.put("shop", certificate="CN=shop")
    credentials = authority.credentials("shop", common_name="shop")
    with RecommenderClient(
        mutual.address, token="shop", credentials=credentials, timeout=SECONDS
    ) as client:
        assert client.recommend(Shopper(user_id="u")).items == fake.answer.items
        assert len(list(client.recommend_many([(Shopper(), Wishes())] * 3))) == 3
        event = Event(user_id="u", item_id="i", action="purchase")
        assert client.feedback.record([event]).recorded == 1
        assert [event.item_id for event in client.privacy.export("u")] == ["i"]
        assert client.is_ready(timeout=SECONDS)
    with open_channel(mutual.address, token="shop", credentials=credentials) as channel:
        assert outcome(channel, "/other.Service/Any") == "UNIMPLEMENTED"
        assert outcome(channel, RECOMMEND, b"\xff") == "INVALID_ARGUMENT"
        assert outcome(channel, RECOMMEND) == "INVALID_ARGUMENT"


def test_calls_with_a_bound_certificate_are_measured_like_others(
    mutual, clients, authority, fake, caplog
):
    clients.put("shop", roles=["read"], certificate="CN=shop")
    credentials = authority.credentials("shop", common_name="shop")
    with (
        caplog.at_level(logging.DEBUG, "serving.calls"),
        RecommenderClient(
            mutual.address, token="shop", credentials=credentials, timeout=SECONDS
        ) as client,
    ):
        client.recommend(Shopper(user_id="u"), Wishes(request_id="r"))
        mutual.settle()

    (record,) = [record for record in caplog.records if record.name == "serving.calls"]
    assert (record.client, record.status, record.request_id) == ("shop", "OK", "r")
    stages = {"stage": "ranker"}
    registry = mutual.server.metrics.registry
    assert registry.get_sample_value("shortlist_stage_seconds_count", stages) == 1


SECRET = "s3cr3t-t0ken-of-somebody"


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_no_log_of_any_level_shows_a_token_wherever_it_was_sent(guarded, clients, caplog, known):
    clients.put(SECRET if known else "shop")
    for entry in clients.entries.values():
        entry["client"] = "shop"
    clients.write()
    places = [
        ("authorization", f"Bearer {SECRET}"),
        ("authorization", f"Basic {SECRET}"),
        ("authorization", SECRET),
        ("authorization-bin", SECRET.encode()),
        ("x-authorization", f"Bearer {SECRET}"),
        ("cookie", f"token={SECRET}"),
        ("traceparent", SECRET),
        ("baggage", f"token={SECRET}"),
    ]
    message = pb.RecommendRequest().SerializeToString()
    with caplog.at_level(logging.DEBUG), grpc.insecure_channel(guarded.address) as channel:
        for method in (
            RECOMMEND,
            "/grpc.health.v1.Health/Check",
            REFLECTION,
            f"/{SECRET}/Method",
            f"/recommender.v1.RecommenderService/{SECRET}",
            f"/recommender.v1.RecommenderService/Recommend?token={SECRET}",
        ):
            for metadata in places:
                outcome(channel, method, message, metadata=[metadata])
        guarded.settle()

    assert any(record.name == "serving.calls" for record in caplog.records)
    shown = [
        record
        for record in caplog.records
        if SECRET in record.getMessage() or SECRET in str(vars(record))
    ]
    assert not shown


def test_a_refusal_does_not_repeat_what_was_sent(guarded, clients):
    clients.put("shop")
    with (
        open_channel(guarded.address, token=SECRET) as channel,
        pytest.raises(grpc.RpcError) as refused,
    ):
        channel.unary_unary(RECOMMEND)(b"", timeout=SECONDS)
    assert SECRET not in str(refused.value.details()) + str(refused.value.trailing_metadata())


def test_probes_need_no_token(guarded, clients):
    clients.put("shop")
    with grpc.insecure_channel(guarded.address) as channel:
        check = health_pb2.HealthCheckRequest().SerializeToString()
        assert outcome(channel, "/grpc.health.v1.Health/Check", check) == "OK"
