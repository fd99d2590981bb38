import re
import socket
import urllib.request

import grpc
import pytest

from serving.server.config import ServerConfig
from serving.server.transport.addresses import is_loopback, joined
from shortlist_client.api.request import Shopper
from shortlist_client.client import RecommenderClient

SECONDS = 10


@pytest.mark.parametrize(
    ("host", "target"),
    [
        ("127.0.0.1", "127.0.0.1:5"),
        ("localhost", "localhost:5"),
        ("::1", "[::1]:5"),
        ("[::1]", "[::1]:5"),
    ],
)
def test_an_address_is_written_as_clients_take_it(host, target):
    assert joined(host, 5) == target


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("[::]", False),
        ("192.0.2.1", False),
        ("::ffff:192.0.2.1", False),
    ],
)
def test_loopback_is_told_from_the_rest(host, local):
    assert is_loopback(host) is local


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]"])
def test_server_metrics_and_client_work_on_every_form_of_host(start, fake, host):
    running = start(lambda: fake, host=host, metrics_port=0)
    running.loaded.result(SECONDS)

    with RecommenderClient(running.address, timeout=SECONDS) as client:
        assert client.is_ready()
        assert client.recommend(Shopper(user_id="u")).items

    url = f"http://{joined(host, running.server.metrics_port.port)}/metrics"
    with urllib.request.urlopen(url, timeout=SECONDS) as response:
        assert b"shortlist_calls_total" in response.read()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_taken_port_is_named(start, fake, host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as taken:
        taken.bind((host, 0))
        taken.listen()
        port = taken.getsockname()[1]
        fault = f" must be free to bind, got {joined(host, port)}, which another process uses"
        for name in ("port", "metrics_port"):
            with pytest.raises(ValueError, match=re.escape(name + fault)):
                start(lambda: fake, host=host, **{name: port})


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_an_address_of_another_machine_is_named(start, fake, host):
    with pytest.raises(ValueError, match=f"host must be an address of this machine, got {host}"):
        start(lambda: fake, host=host, insecure=True)


def test_a_name_that_nobody_knows_is_named(start, fake):
    with pytest.raises(ValueError, match="host must be an address or a known name, got 'no"):
        start(lambda: fake, host="no.invalid")


@pytest.mark.parametrize("host", ["", "[]"])
def test_an_empty_host_is_refused(host):
    with pytest.raises(ValueError, match="host must be an address or a name"):
        ServerConfig(host=host)


def test_a_failed_metrics_port_leaves_the_server_closed(start, fake):
    with socket.socket() as taken, socket.socket() as free:
        for one in (taken, free):
            one.bind(("127.0.0.1", 0))
        taken.listen()
        port = free.getsockname()[1]
        free.close()
        with pytest.raises(ValueError, match="metrics_port"):
            start(lambda: fake, port=port, metrics_port=taken.getsockname()[1])

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, pytest.raises(grpc.RpcError):
        channel.unary_unary("/a/b")(b"", timeout=1)
