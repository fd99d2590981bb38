"""Bytes and counts of a message are checked before anything is built from it."""

import grpc
import pytest

from events.open_store import open_store
from serving.api.errors import MessageTooLargeError
from serving.api.limits import DEFAULT_LIMITS, Limits
from serving.server.interceptors.message_size import bounded, most_bytes
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.proto.recommender.v1 import recommender_pb2
from tests.serving.server.bounds.measured_loop import METHODS, Aborted, Context, Loop
from tests.serving.server.bounds.worst_messages import held

SECONDS = 10


def send(channel, path, wire):
    if METHODS[path].client_streaming:
        return list(channel.stream_stream(path)(iter([wire]), timeout=SECONDS))
    if METHODS[path].server_streaming:
        return list(channel.unary_stream(path)(wire, timeout=SECONDS))
    return channel.unary_unary(path)(wire, timeout=SECONDS)


def test_a_server_refuses_more_bytes_than_a_call_accepts(start, fake, tmp_path):
    running = start(lambda: fake, parts={"store": open_store(str(tmp_path / "events.sqlite"))})
    running.loaded.result(SECONDS)

    with grpc.insecure_channel(running.address) as channel:
        for path in METHODS:
            wire = bytes(most_bytes(path, DEFAULT_LIMITS) + 1)
            with pytest.raises(grpc.RpcError) as caught:
                send(channel, path, wire)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED, path
            named = f"must have at most {len(wire) - 1:,} bytes", f"vs. {len(wire) - 1})"  # gRPC's
            assert any(limit in caught.value.details() for limit in named), path


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
