import logging

import grpc
import pytest

from serving.api.errors import (
    MessageTooLargeError,
    OtherReleaseError,
    PreconditionError,
    QueueFullError,
    UnavailableError,
    UnknownItemError,
    UnknownReleaseError,
)
from serving.server.access.errors import (
    PermissionDeniedError,
    TooManyRequestsError,
    UnauthenticatedError,
)
from serving.server.interceptors.statuses import STATUS_OF, UnknownMethodError
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb

CALLS = [
    lambda client: client.recommend(Shopper(user_id="u")),
    lambda client: client.retrieve(Shopper(user_id="u")),
    lambda client: client.rank(["c"], Shopper()),
    lambda client: client.similar("c"),
]
TABLE = {
    InvalidRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    UnknownItemError: grpc.StatusCode.NOT_FOUND,
    UnknownReleaseError: grpc.StatusCode.NOT_FOUND,
    PreconditionError: grpc.StatusCode.FAILED_PRECONDITION,
    UnavailableError: grpc.StatusCode.UNAVAILABLE,
    TimeoutError: grpc.StatusCode.DEADLINE_EXCEEDED,
}


def failure(call, client):
    with pytest.raises(grpc.RpcError) as caught:
        call(client)
    return caught.value.code(), caught.value.details()


def test_the_status_table_has_exactly_the_errors_that_callers_can_act_on():
    more = {
        QueueFullError: grpc.StatusCode.RESOURCE_EXHAUSTED,
        OtherReleaseError: grpc.StatusCode.FAILED_PRECONDITION,
        UnauthenticatedError: grpc.StatusCode.UNAUTHENTICATED,
        PermissionDeniedError: grpc.StatusCode.PERMISSION_DENIED,
        TooManyRequestsError: grpc.StatusCode.RESOURCE_EXHAUSTED,
        MessageTooLargeError: grpc.StatusCode.RESOURCE_EXHAUSTED,
        UnknownMethodError: grpc.StatusCode.UNIMPLEMENTED,
    }

    assert {**TABLE, **more} == STATUS_OF


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", TABLE)
def test_a_known_error_reaches_the_caller_with_its_status_and_message(client, fake, kind, call):
    fake.error = kind("limit must be within 1 and 100, got 0")

    assert failure(call, client) == (TABLE[kind], "limit must be within 1 and 100, got 0")


def test_a_subclass_of_a_known_error_has_its_status(client, fake):
    class OversizedHistoryError(InvalidRequestError):
        pass

    fake.error = OversizedHistoryError("too long")

    assert failure(CALLS[0], client) == (grpc.StatusCode.INVALID_ARGUMENT, "too long")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "error", [RuntimeError("secret"), KeyError("secret"), ValueError("secret")]
)
def test_an_unknown_error_is_logged_and_hidden_from_the_caller(client, fake, error, call, caplog):
    fake.error = error

    code, details = failure(call, client)

    assert (code, details) == (grpc.StatusCode.INTERNAL, "internal error")
    (record,) = [r for r in caplog.records if r.name == "serving.server.interceptors.statuses"]
    assert record.levelno == logging.ERROR
    assert record.exc_info[1] is error
    assert "recommender.v1.RecommenderService" in record.getMessage()


def test_the_trailing_metadata_hide_an_unknown_error(client, fake):
    fake.error = RuntimeError("secret")

    with pytest.raises(grpc.RpcError) as caught:
        client.recommend(Shopper())

    assert "secret" not in repr(caught.value)
    assert "secret" not in repr(caught.value.trailing_metadata())


def test_the_server_keeps_answering_after_an_error(client, fake):
    fake.error = RuntimeError("secret")
    failure(CALLS[0], client)
    fake.error = None

    assert client.recommend(Shopper()).items == fake.answer.items


def test_undecodable_bytes_do_not_reach_the_engine(server, fake):
    with grpc.insecure_channel(server.address) as channel:
        call = channel.unary_unary(
            "/recommender.v1.RecommenderService/Recommend",
            response_deserializer=pb.RecommendResponse.FromString,
        )
        with pytest.raises(grpc.RpcError):
            call(b"\xff\xff\xff", timeout=5)

    assert fake.calls == []


def test_a_method_that_does_not_exist_is_unimplemented(server):
    with grpc.insecure_channel(server.address) as channel:
        call = channel.unary_unary("/recommender.v1.RecommenderService/Guess")
        with pytest.raises(grpc.RpcError) as caught:
            call(b"", timeout=5)

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_known_error_is_not_logged(client, fake, caplog):
    fake.error = InvalidRequestError("limit must be within 1 and 100, got 0")
    failure(CALLS[0], client)

    assert not [r for r in caplog.records if r.name.startswith("serving")]
    assert fake.calls == [("recommend", Shopper(user_id="u"), Wishes())]


UNDECODABLE = [b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x03\xed\xa0\x80", b"\xff"]


@pytest.mark.parametrize("wire", UNDECODABLE)
@pytest.mark.parametrize(
    "method",
    [
        "/recommender.v1.RecommenderService/Recommend",
        "/recommender.v1.CatalogService/Get",
        "/recommender.v1.CatalogService/Upsert",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
    ],
)
def test_undecodable_bytes_are_refused_and_not_logged(server, method, wire, caplog):
    with grpc.insecure_channel(server.address) as channel, pytest.raises(grpc.RpcError) as caught:
        list(channel.stream_stream(method)(iter([wire]), timeout=10))

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    expected = "request must be a message of the contract, got other bytes"
    assert caught.value.details() == expected
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("text", ["x" * 200_000, "é日𝄞" * 50_000, "\ud800" * 9_000])
def test_a_long_message_is_cut_and_keeps_its_status(client, fake, text):
    fake.error = InvalidRequestError(text)

    code, details = failure(CALLS[0], client)

    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert 1000 < len(details.encode()) <= 1024
    assert details.endswith("…")


def test_a_long_message_beside_details_is_cut_too(client, fake):
    fake.error = OtherReleaseError("日" * 100_000, "r1")

    code, details = failure(CALLS[0], client)

    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert len(details.encode()) <= 1024
