import socket
import ssl

import pytest
import trustme

from serving.server.transport.tls import TlsConfig
from shortlist_client import client_credentials
from shortlist_client.api.request import Shopper
from shortlist_client.client import RecommenderClient
from tests.serving.server.transport.http2 import connected, headers, message

SECONDS = 10
BYTES = b"\xff\xfe\xed\xa0\x80"
PACKETS = {
    "path": headers(path=b"/" + BYTES + b"/x"),
    "path of a known service": headers(path=b"/recommender.v1.RecommenderService/" + BYTES),
    "path without a method": headers(path=b"/"),
    "empty path": headers(path=b""),
    "NUL in the path": headers(path=b"/a\0/b"),
    "lines in the path": headers(path=b"/a\r\nforged/b"),
    "long path": headers(path=b"/" + b"a" * 15_000),
    "authority": headers(authority=BYTES),
    "method": headers(method=BYTES),
    "key": headers(extra=[(b"x-" + BYTES, b"a")]),
    "empty key": headers(extra=[(b"", b"a")]),
    "value": headers(extra=[(b"x-a", BYTES)]),
    "binary value": headers(extra=[(b"x-bin", b"***" + BYTES)]),
    "timeout": headers(extra=[(b"grpc-timeout", BYTES + b"S")]),
    "negative timeout": headers(extra=[(b"grpc-timeout", b"-1S")]),
    "content type": headers(extra=[(b"content-type", b"application/grpc" + BYTES)]),
    "encoding": headers(extra=[(b"grpc-encoding", BYTES)]),
    "accepted encoding": headers(extra=[(b"grpc-accept-encoding", BYTES)]),
    "authorization": headers(extra=[(b"authorization", b"Bearer " + BYTES)]),
    "traceparent": headers(extra=[(b"traceparent", BYTES)]),
    "user agent": headers(extra=[(b"user-agent", BYTES)]),
    "host": headers(extra=[(b"host", BYTES)]),
    "large headers": headers(extra=[(b"x-a", b"a" * 16_000)]),
}


def send(port, packet, **options):
    """Send a packet and wait until the server has answered it or closed the connection."""
    with connected(port, **options) as connection:
        connection.settimeout(0.3)
        try:
            connection.sendall(packet + message(b""))
            while connection.recv(65536):
                pass
        except OSError:
            pass


@pytest.mark.parametrize("packet", PACKETS.values(), ids=PACKETS)
def test_the_server_goes_on_answering(server, client, packet):
    send(server.server.port, packet)

    assert client.recommend(Shopper(user_id="u")).items


def test_a_flood_of_them_changes_nothing(server, client):
    for stream in range(40):
        with connected(server.server.port) as connection:
            for number, packet in enumerate((headers, headers)):
                connection.sendall(packet(2 * number + 1, path=b"/\xff%d" % stream))

    assert client.recommend(Shopper(user_id="u")).items


@pytest.mark.parametrize("mutual", [False, True])
def test_over_tls_the_server_goes_on_answering(start, fake, tmp_path, mutual):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    pair = {"certificate": tmp_path / "cert.pem", "key": tmp_path / "key.pem"}
    ca = tmp_path / "ca.pem"
    running = start(lambda: fake, tls=TlsConfig(**pair, client_ca=ca if mutual else None))
    running.loaded.result(SECONDS)
    context = ssl.create_default_context(cafile=str(ca))
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(pair["certificate"], pair["key"])

    def wrap(plain: socket.socket):
        return context.wrap_socket(plain, server_hostname="localhost")

    send(running.server.port, PACKETS["path"], wrap=wrap)

    credentials = client_credentials(ca=ca, **(pair if mutual else {}))
    with RecommenderClient(running.address, timeout=SECONDS, credentials=credentials) as client:
        assert client.recommend(Shopper(user_id="u")).items
