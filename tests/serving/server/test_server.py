import asyncio
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from serving.server.config import ServerConfig
from shortlist_client.api.request import Shopper
from shortlist_client.client import RecommenderClient
from shortlist_client.proto.recommender.v1 import recommender_pb2 as pb
from shortlist_client.proto.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub

SECONDS = 10
SERVICE = "recommender.v1.RecommenderService"
SERVING, NOT_SERVING = 1, 2


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(server.address) as channel:
        yield channel


def health(channel, service=""):
    request = health_pb2.HealthCheckRequest(service=service)
    return health_pb2_grpc.HealthStub(channel).Check(request, timeout=SECONDS).status


def recommend(channel, user_id):
    """Send a request without waiting for its answer."""
    request = pb.RecommendRequest(shopper=pb.Shopper(user_id=user_id), wishes=pb.Wishes(limit=1))
    return RecommenderServiceStub(channel).Recommend.future(request, timeout=SECONDS)


def users(fake):
    return [request.shopper.user_id for request in fake.requests]


def wait_until_refused(port):
    """Return once the port refuses connections."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.01)
    raise AssertionError(f"port {port} still accepts")


@pytest.mark.parametrize("service", ["", SERVICE])
def test_health_is_not_serving_until_the_engine_is_loaded(start, fake, service):
    loaded = threading.Event()
    server = start(lambda: fake if loaded.wait(SECONDS) else None)

    with grpc.insecure_channel(server.address) as channel:
        assert health(channel, service) == NOT_SERVING
        loaded.set()
        server.loaded.result(SECONDS)
        assert health(channel, service) == SERVING


def test_a_request_before_the_engine_is_loaded_is_refused_with_a_time_to_retry(start, fake):
    loaded = threading.Event()
    server = start(lambda: fake if loaded.wait(SECONDS) else None)

    with grpc.insecure_channel(server.address) as channel:
        early = recommend(channel, "early").exception(timeout=SECONDS)
        loaded.set()
        server.loaded.result(SECONDS)
        assert recommend(channel, "late").result()

    assert early.code() is grpc.StatusCode.UNAVAILABLE
    detail = error_details_pb2.RetryInfo()
    assert rpc_status.from_call(early).details[0].Unpack(detail)
    assert detail.retry_delay.ToNanoseconds() == 1e9
    assert users(fake) == ["late"]


def test_who_gives_up_waiting_for_the_engine_takes_it_from_nobody(start, fake, event_loop_thread):
    loaded = threading.Event()
    server = start(lambda: fake if loaded.wait(SECONDS) else None)

    async def impatient():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(server.server.engine.ready(), 0.05)

    asyncio.run_coroutine_threadsafe(impatient(), event_loop_thread).result(SECONDS)
    loaded.set()

    server.loaded.result(SECONDS)


def test_ready_raises_the_error_of_loading(start):
    def load():
        raise LookupError("no release")

    with pytest.raises(LookupError, match="no release"):
        start(load).loaded.result(SECONDS)


def test_watchers_see_health_change_when_the_server_drains(server, fake, channel):
    watch = health_pb2_grpc.HealthStub(channel).Watch(
        health_pb2.HealthCheckRequest(service=SERVICE), timeout=SECONDS
    )
    assert next(watch).status == SERVING
    fake.gate.clear()
    in_flight = recommend(channel, "u")
    assert fake.entered.wait(SECONDS)

    drained = server.drain()

    assert next(watch).status == NOT_SERVING
    watch.cancel()
    fake.gate.set()
    in_flight.result()
    drained.result(SECONDS)


def test_draining_finishes_calls_in_flight_and_refuses_new_ones(server, fake, channel):
    fake.gate.clear()
    in_flight = [recommend(channel, "first")]
    assert fake.entered.wait(SECONDS)
    in_flight.append(recommend(channel, "second"))
    health(channel)  # by now both have arrived

    drained = server.drain()
    wait_until_refused(server.server.port)
    with pytest.raises(grpc.RpcError):
        recommend(channel, "late").result()
    assert not drained.done()
    fake.gate.set()

    assert all(len(call.result().answer.items) == 2 for call in in_flight)
    drained.result(SECONDS)
    assert users(fake) == ["first", "second"]


def test_draining_ends_after_the_grace_period(start, fake, caplog):
    server = start(lambda: fake, grace_seconds=0.2)
    server.loaded.result(SECONDS)
    fake.gate.clear()
    with grpc.insecure_channel(server.address) as channel:
        stuck = recommend(channel, "stuck")
        assert fake.entered.wait(SECONDS)

        server.drain().result(SECONDS)

        assert stuck.code() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)
    fake.gate.set()
    assert "did not stop" not in caplog.text


def test_a_cancelled_request_never_reaches_the_engine(fake, channel):
    fake.gate.clear()
    first = recommend(channel, "first")
    assert fake.entered.wait(SECONDS)
    second, third = recommend(channel, "second"), recommend(channel, "third")
    health(channel)  # by now all three have arrived
    second.cancel()
    health(channel)  # by now the server has seen the cancellation

    fake.gate.set()

    assert first.result()
    assert third.result()
    assert users(fake) == ["first", "third"]


def test_a_request_whose_deadline_passed_never_reaches_the_engine(server, fake, channel):
    fake.gate.clear()
    first = recommend(channel, "first")
    assert fake.entered.wait(SECONDS)
    with RecommenderClient(server.address, timeout=0.2) as hasty:
        with pytest.raises(grpc.RpcError) as caught:
            hasty.recommend(Shopper(user_id="hasty"))
        hasty.is_ready(timeout=SECONDS)

    fake.gate.set()

    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert first.result()
    assert recommend(channel, "last").result()
    assert users(fake) == ["first", "last"]


def test_the_engine_is_called_in_one_thread_only(client, fake, server):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: client.recommend(Shopper(user_id=str(n))), range(40)))

    assert len(fake.calls) == 40
    assert fake.threads == {"engine"}


def test_health_answers_while_the_engine_is_busy(fake, channel):
    fake.gate.clear()
    busy = recommend(channel, "u")
    assert fake.entered.wait(SECONDS)

    assert health(channel) == SERVING
    fake.gate.set()
    assert busy.result()


def test_reflection_lists_the_services_and_knows_the_messages(channel):
    request = reflection_pb2.ServerReflectionRequest
    requests = [request(list_services=""), request(file_containing_symbol=SERVICE)]
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)

    listed, described = stub.ServerReflectionInfo(iter(requests), timeout=SECONDS)

    services = {service.name for service in listed.list_services_response.service}
    assert services >= {SERVICE, "grpc.health.v1.Health"}
    files = described.file_descriptor_response.file_descriptor_proto
    assert any(b"RecommendRequest" in file for file in files)


def test_a_too_large_request_is_refused(start, fake):
    server = start(lambda: fake, max_message_bytes=10_000)

    with RecommenderClient(server.address) as client:
        client.recommend(Shopper(history=["x" * 100] * 50))
        with pytest.raises(grpc.RpcError) as caught:
            client.recommend(Shopper(history=["x" * 100] * 200))

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert len(fake.calls) == 1


def test_a_taken_port_is_refused(server, start, fake):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for port in (taken.getsockname()[1], server.server.port):
            with pytest.raises(ValueError, match=f"must be free to bind, got 127.0.0.1:{port}"):
                start(lambda: fake, port=port)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"port": -1}, "port must be within 0 and 65535, got -1"),
        ({"grace_seconds": -1}, "grace_seconds must be at least 0"),
        ({"max_message_bytes": 0}, "max_message_bytes must be at least 1"),
    ],
)
def test_an_invalid_configuration_is_refused(options, rule):
    with pytest.raises(ValueError, match=rule):
        ServerConfig(**options)


def test_a_hangup_while_loading_does_not_end_the_process(run_script):
    script = """
import asyncio, os, signal, time

from serving.server.config import ServerConfig
from serving.server.run import serve
from serving.server.server import Server

def load():
    for number in (signal.SIGHUP, signal.SIGTERM):
        os.kill(os.getpid(), number)
        time.sleep(0.2)
    raise RuntimeError("loading takes longer than anyone waits")

asyncio.run(serve(lambda: Server(load, ServerConfig(port=0))))
print('"stopped in order"')
"""
    assert run_script(script) == ["stopped in order"]
