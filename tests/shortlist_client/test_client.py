import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient

SECONDS = 10
NO_SERVER = "127.0.0.1:1"


def test_waiting_ends_when_the_engine_is_loaded(start, fake):
    loaded = threading.Event()
    server = start(lambda: fake if loaded.wait(SECONDS) else None)

    with RecommenderClient(server.address) as client:
        assert not client.is_ready()
        threading.Timer(0.2, loaded.set).start()
        client.wait_until_ready(SECONDS)
        assert client.is_ready()


def test_waiting_for_a_server_that_never_loads_times_out(start, fake):
    loaded = threading.Event()
    server = start(lambda: fake if loaded.wait(SECONDS) else None)

    with (
        RecommenderClient(server.address) as client,
        pytest.raises(TimeoutError, match=f"{server.address} must be ready within 0.2 s"),
    ):
        client.wait_until_ready(0.2)
    loaded.set()


def test_waiting_without_a_server_times_out():
    started = time.monotonic()

    with RecommenderClient(NO_SERVER) as client, pytest.raises(TimeoutError):
        client.wait_until_ready(0.3)

    assert time.monotonic() - started < 2


def test_a_client_may_start_before_its_server(start, fake):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    with RecommenderClient(f"127.0.0.1:{port}") as client, ThreadPoolExecutor() as pool:
        waiting = pool.submit(client.wait_until_ready, SECONDS)
        time.sleep(0.2)
        start(lambda: fake, port=port)
        waiting.result()


def test_a_request_without_a_server_is_unavailable():
    with RecommenderClient(NO_SERVER, timeout=2) as client, pytest.raises(grpc.RpcError) as caught:
        client.recommend(Shopper())

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_every_request_has_a_deadline(server, fake):
    fake.gate.clear()
    with RecommenderClient(server.address, timeout=0.05) as client:
        for call in (
            lambda: client.recommend(Shopper()),
            lambda: client.retrieve(Shopper()),
            lambda: client.rank(["c"], Shopper()),
            lambda: client.similar("c"),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                call()
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_proxies_of_the_environment_are_ignored(server, monkeypatch):
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, f"http://{NO_SERVER}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    with RecommenderClient(server.address, timeout=2) as client:
        assert client.recommend(Shopper()).items


def test_a_call_may_have_its_own_deadline(server, fake):
    fake.gate.clear()
    shopper = Shopper()
    with RecommenderClient(server.address, timeout=60) as client:
        for call in (
            lambda: client.recommend(shopper, timeout=0.05),
            lambda: client.retrieve(shopper, timeout=0.05),
            lambda: client.rank(["c"], shopper, timeout=0.05),
            lambda: client.similar("c", timeout=0.05),
            lambda: client.embed.shopper(shopper, timeout=0.05),
            lambda: client.embed.items(["c"], timeout=0.05),
            lambda: client.embed.texts(["c"], timeout=0.05),
            lambda: client.profile(shopper, timeout=0.05),
            lambda: list(client.recommend_many([(shopper, Wishes())], timeout=0.05)),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                call()
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_arguments_of_a_wrong_type_are_refused_before_anything_is_sent():
    with RecommenderClient(NO_SERVER) as client:
        for call, message in (
            (lambda: client.recommend("u"), "shopper must be a Shopper, got 'u'"),
            (lambda: client.recommend(Shopper(), {"limit": 1}), "wishes must be Wishes, got {"),
            (lambda: client.rank("c", Shopper()), "candidates must be a list or tuple of strings"),
            (lambda: client.rank(Shopper(), ["c"]), "must be a"),
            (lambda: client.similar(50), "item_id must be a string, got 50"),
            (lambda: client.embed.items("c"), "item_ids must be a list or tuple of strings"),
            (
                lambda: client.profile(Shopper(), with_embedding=1),
                "with_embedding must be True or False, got 1",
            ),
            (lambda: client.embed.texts([1]), r"texts\[0\] must be a string, got 1"),
            (lambda: client.catalog.upsert("b-1"), "items must be an iterable of Items, got 'b-1'"),
            (lambda: client.catalog.upsert(["b-1"]), r"items\[0\] must be an Item, got 'b-1'"),
            (lambda: client.catalog.delete("b-1"), "item_ids must be an iterable of strings"),
            (lambda: client.catalog.get([1]), r"item_ids\[0\] must be a string, got 1"),
            (lambda: client.feedback.record([{}]), r"events\[0\] must be an Event, got {}"),
            (lambda: client.admin.load(7), "release_id must be a string, got 7"),
        ):
            with pytest.raises(TypeError, match=message):
                call()


def test_a_wrong_request_of_a_stream_is_named(client):
    with pytest.raises(TypeError, match="shopper must be a Shopper, got 'u'"):
        list(client.recommend_many([(Shopper(), Wishes()), ("u", Wishes())]))
