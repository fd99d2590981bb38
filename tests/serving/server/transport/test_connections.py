"""The server takes a bounded number of connections, whatever they do or leave undone."""

import socket
import time
from contextlib import ExitStack

import grpc
import pytest

from shortlist_client.api.request import Shopper
from shortlist_client.client import RecommenderClient

CONNECTIONS = 12
SECONDS = 10


def closed_by_server(connection):
    connection.settimeout(0.2)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_connections_above_the_limit_are_closed_and_the_others_are_served(start, fake):
    server = start(lambda: fake, connections=CONNECTIONS)
    server.loaded.result(SECONDS)
    shopper = Shopper(history=["i1"])
    with RecommenderClient(server.address) as client, ExitStack() as held:
        client.recommend(shopper)
        silent = [
            held.enter_context(socket.create_connection(("127.0.0.1", server.server.port)))
            for _ in range(3 * CONNECTIONS)
        ]
        time.sleep(0.2)

        assert sum(map(closed_by_server, silent)) >= 2 * CONNECTIONS
        assert client.recommend(shopper)
        alone = [("grpc.use_local_subchannel_pool", 1)]  # or it shares the client's connection
        late = held.enter_context(grpc.insecure_channel(server.address, alone))
        with pytest.raises(grpc.FutureTimeoutError):
            grpc.channel_ready_future(late).result(0.5)

    with grpc.insecure_channel(server.address, alone) as late:  # there is room again
        grpc.channel_ready_future(late).result(SECONDS)
