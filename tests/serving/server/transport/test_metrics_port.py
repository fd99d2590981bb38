import socket
import struct
import threading
import time
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.server.transport import metrics_port
from serving.server.transport.metrics_port import CONNECTIONS

SECONDS = 10


@pytest.fixture
def port(start, fake):
    running = start(lambda: fake, metrics_port=0)
    running.loaded.result(SECONDS)
    return running.server.metrics_port.port


def url(port, path="/metrics"):
    return f"http://127.0.0.1:{port}{path}"


def scrape(port):
    with urllib.request.urlopen(url(port), timeout=SECONDS) as response:
        return response.read().decode()


def connected(port):
    return socket.create_connection(("127.0.0.1", port), timeout=SECONDS)


def test_prometheus_reads_the_metrics(port):
    names = {family.name for family in text_string_to_metric_families(scrape(port))}

    assert {"shortlist_calls", "shortlist_call_seconds", "shortlist_calls_in_flight"} <= names


def test_openmetrics_is_answered_to_who_asks_for_it(port):
    accept = "application/openmetrics-text; version=1.0.0"
    request = urllib.request.Request(url(port), headers={"Accept": accept})

    with urllib.request.urlopen(request, timeout=SECONDS) as response:
        assert "openmetrics" in response.headers["Content-Type"]
        assert response.read().endswith(b"# EOF\n")


@pytest.mark.parametrize("kind", ["application/openmetrics-text", "text/plain"])
@pytest.mark.parametrize("version", ["abc", "1e9", "", "\u00b2.0"])
def test_a_version_that_is_no_number_is_answered_as_text(port, kind, version):
    request = urllib.request.Request(url(port), headers={"Accept": f"{kind}; version={version}"})

    with urllib.request.urlopen(request, timeout=SECONDS) as response:
        assert b"shortlist_calls" in response.read()


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/metrics", 405), ("GET", "/other", 404)]
)
def test_anything_else_is_refused(port, method, path, status):
    request = urllib.request.Request(url(port, path), method=method)

    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=SECONDS)

    caught.value.close()
    assert caught.value.code == status


def test_half_requests_neither_hold_threads_nor_put_it_out(port):
    threads = threading.active_count()
    connections = []
    try:
        for _ in range(300):
            connections.append(connected(port))
            connections[-1].sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        assert "shortlist_calls" in scrape(port)
        assert threading.active_count() <= threads + 2
        open_ones = [one for one in connections if not is_closed(one)]
        assert len(open_ones) <= CONNECTIONS
    finally:
        for one in connections:
            one.close()


def is_closed(connection, *, seconds=0.001):
    connection.settimeout(seconds)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_a_slow_client_is_dropped(start, fake, monkeypatch):
    usual = metrics_port.SECONDS
    monkeypatch.setattr(metrics_port, "SECONDS", 0.1)
    running = start(lambda: fake, metrics_port=0)
    with connected(running.server.metrics_port.port) as slow:
        slow.sendall(b"GET /metrics")
        started = time.monotonic()
        assert is_closed(slow, seconds=SECONDS)

    assert time.monotonic() - started < usual


def test_a_long_request_is_dropped(port):
    with connected(port) as long:
        long.sendall(b"x" * 65_536)
        assert is_closed(long, seconds=SECONDS)


@pytest.mark.parametrize("head", [b"\xff\xfe\r\n\r\n", b"GET \r\n\r\n", b"\r\n\r\n", b"GET /\xff"])
def test_nonsense_changes_nothing(port, head):
    with connected(port) as connection:
        connection.sendall(head)

    assert "shortlist_calls" in scrape(port)


@pytest.fixture
def encoding(monkeypatch):
    """Metrics are encoded once this is set."""
    released = threading.Event()

    def encode(registry):
        released.wait(SECONDS)
        return b"shortlist_calls"

    monkeypatch.setattr(metrics_port, "choose_encoder", lambda accept: (encode, "text/plain"))
    yield released
    released.set()


def asked(port):
    connection = connected(port)
    connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
    return connection


def test_callers_who_leave_before_the_answer_leave_no_trace_in_the_log(port, encoding, caplog):
    for _ in range(3):
        connection = asked(port)
        time.sleep(0.05)
        reset = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        connection.close()
    time.sleep(0.1)
    encoding.set()

    assert scrape(port) == "shortlist_calls"
    assert caplog.text == ""


def test_whole_requests_are_answered_or_told_to_come_again(port, encoding):
    whole = [asked(port) for _ in range(CONNECTIONS)]
    time.sleep(0.2)
    silent = [connected(port) for _ in range(2 * CONNECTIONS)]  # they push nobody out who asked
    late = asked(port)
    refused = late.recv(100)
    encoding.set()
    answers = [one.recv(100) for one in whole]
    for one in (*whole, *silent, late):
        one.close()

    assert refused.startswith(b"HTTP/1.1 503")
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
