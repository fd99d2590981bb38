import itertools
import threading
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.server.access.credentials import digest_of
from serving.server.transport import health
from serving.server.transport.health import (
    PATIENCE_SECONDS,
    READ_SECONDS,
    WAITING_OF_A_HOST,
    WATCHES_OF_A_HOST,
)
from shortlist_client.api.request import Shopper
from shortlist_client.client import RecommenderClient
from tests.serving.server.transport.http2 import connected, data, headers

SECONDS = 10
MIB = 2**20
CHECK, WATCH = b"/grpc.health.v1.Health/Check", b"/grpc.health.v1.Health/Watch"
REFLECT = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
SERVING = health_pb2.HealthCheckResponse.SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


@pytest.fixture
def guarded(start, fake, tmp_path):
    path = tmp_path / "clients.yaml"
    client = {"client": "shop", "sha256": digest_of("reads").hex(), "roles": ["read"]}
    path.write_text(yaml.safe_dump([client]))
    running = start(lambda: fake, tokens=path, metrics_port=0)
    running.loaded.result(SECONDS)
    return running


@pytest.fixture
def stub(guarded):
    with grpc.insecure_channel(
        guarded.address, options=[("grpc.max_send_message_length", -1)]
    ) as channel:
        yield health_pb2_grpc.HealthStub(channel)


def memory():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / MIB


def asked(service=""):
    return health_pb2.HealthCheckRequest(service=service)


def eventually(call):
    """Call until the server has room; the answer must be SERVING."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            assert call().status == SERVING
            return
        except grpc.RpcError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def metrics_of(running):
    running.settle()
    url = f"http://127.0.0.1:{running.server.metrics_port.port}/metrics"
    with urllib.request.urlopen(url, timeout=SECONDS) as response:
        return response.read().decode()


def test_an_unknown_name_is_refused(stub):
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(asked("nobody"), timeout=SECONDS)

    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_watching_an_unknown_name_ends_after_saying_so(stub):
    answers = list(stub.Watch(asked("nobody"), timeout=SECONDS))

    assert [answer.status for answer in answers] == [UNKNOWN]


@pytest.mark.parametrize("call", ["Check", "Watch"])
def test_a_message_over_64_kib_is_refused(stub, call):
    with pytest.raises(grpc.RpcError) as caught:
        list(getattr(stub, call)(asked("x" * (65 << 10)), timeout=SECONDS))

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_call_that_sends_no_message_is_refused_in_time(guarded):
    started = time.monotonic()
    silence = threading.Event()
    with grpc.insecure_channel(guarded.address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.stream_unary(CHECK.decode())((silence.wait(2) for _ in "1"), timeout=SECONDS)
    silence.set()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "must arrive within" in caught.value.details()
    assert time.monotonic() - started < READ_SECONDS + SECONDS / 2


def held(port, count, path, *, claim, sent):
    """Calls of which each claims `claim` bytes and sends `sent` of them, as far as it may."""
    connection = connected(port)
    prefix = b"\0" + claim.to_bytes(4, "big")
    for stream in range(1, 2 * count, 2):
        connection.sendall(headers(stream, path=path) + data(prefix + b"x" * sent, stream))
    return connection


@pytest.mark.parametrize("path", [CHECK, WATCH, b"/recommender.v1.RecommenderService/Recommend"])
@pytest.mark.parametrize("claim", [1 << 30, 4_000_000])
def test_unfinished_messages_without_a_token_take_little_memory(guarded, stub, path, claim):
    before = memory()
    with ExitStack() as connections:
        for _ in range(3):  # of at most 128 streams each
            sender = held(guarded.server.port, 100, path, claim=claim, sent=16_000)
            connections.enter_context(sender)
        eventually(lambda: stub.Check(asked(), timeout=SECONDS))  # once the senders' time is over

    assert memory() - before < 30


def test_slow_senders_of_one_host_do_not_keep_others_waiting_long(guarded, stub):
    with held(guarded.server.port, 8, CHECK, claim=100_000, sent=10):
        started = time.monotonic()
        assert stub.Check(asked(), timeout=SECONDS).status == SERVING
        assert time.monotonic() - started < 3 * READ_SECONDS + SECONDS / 2


def test_calls_that_wait_to_be_read_are_bounded(monkeypatch, request):
    monkeypatch.setattr(health, "WAITING_OF_A_HOST", 4)
    guarded = request.getfixturevalue("guarded")
    with held(guarded.server.port, 20, CHECK, claim=100_000, sent=10):
        time.sleep(READ_SECONDS)

    assert 'method="grpc.health.v1.Health",status="RESOURCE_EXHAUSTED"' in metrics_of(guarded)


def test_silent_calls_of_the_same_host_do_not_keep_a_probe_out(guarded, stub):
    with held(guarded.server.port, WAITING_OF_A_HOST - 1, CHECK, claim=100_000, sent=10):
        time.sleep(3 * PATIENCE_SECONDS)
        assert stub.Check(asked(), timeout=SECONDS).status == SERVING


def test_watches_of_one_host_are_bounded_and_freed(stub):
    watches = [stub.Watch(asked(), timeout=60) for _ in range(WATCHES_OF_A_HOST)]
    assert all(next(watch).status == SERVING for watch in watches)

    with pytest.raises(grpc.RpcError) as caught:
        next(stub.Watch(asked(), timeout=SECONDS))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    watches[0].cancel()
    eventually(lambda: next(stub.Watch(asked(), timeout=SECONDS)))
    for watch in watches:
        watch.cancel()


def test_names_of_methods_that_do_not_exist_are_one_label(guarded):
    with grpc.insecure_channel(guarded.address) as channel:
        for number, token in itertools.product(range(20), (None, "reads")):
            sent = [("authorization", f"Bearer {token}")] if token else []
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(f"/x{number}/y")(b"", timeout=SECONDS, metadata=sent)
            expected = "UNIMPLEMENTED" if token else "UNAUTHENTICATED"
            assert caught.value.code().name == expected

    text = metrics_of(guarded)

    assert "x7" not in text
    for labels in (
        'client="",method="unknown",status="UNAUTHENTICATED"',
        'client="shop",method="unknown",status="UNIMPLEMENTED"',
    ):
        assert f"shortlist_calls_total{{{labels}}} 20.0" in text
    assert "unknown" in guarded.server.metrics.methods()


def test_health_and_reflection_are_one_label_each(guarded, stub):
    stub.Check(asked(), timeout=SECONDS)
    list(stub.Watch(asked("nobody"), timeout=SECONDS))
    with grpc.insecure_channel(guarded.address) as channel:
        reflect = channel.stream_stream(REFLECT)
        with pytest.raises(grpc.RpcError):
            list(reflect(iter([b""]), timeout=SECONDS))

    text = metrics_of(guarded)

    assert 'method="grpc.health.v1.Health",status="OK"} 2.0' in text
    assert 'method="grpc.reflection.v1alpha.ServerReflection",status="UNAUTHENTICATED"' in text


def test_reflection_can_be_switched_off(start, fake):
    running = start(lambda: fake, reflection=False)

    with grpc.insecure_channel(running.address) as channel, pytest.raises(grpc.RpcError) as caught:
        list(channel.stream_stream(REFLECT)(iter([b""]), timeout=SECONDS))

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_an_authorised_large_message_is_still_read(guarded, fake):
    with RecommenderClient(guarded.address, timeout=SECONDS, token="reads") as client:
        assert client.recommend(Shopper(history=["x" * 100] * 500)).items
