"""Kills servers that record events and change items; acknowledged writes must survive."""

import threading
import time
from contextlib import contextmanager

import grpc
import pytest

from events.open_store import open_store
from lineage.journal_records import read_journal
from serving.catalogue.change_log import changes_path, latest
from shortlist_client.api.event import Event
from shortlist_client.api.item import Item
from shortlist_client.client import RecommenderClient
from tests.serving.live.forked_server import ForkedServer

SECONDS = 60


class Writer(threading.Thread):
    """Sends requests until it is stopped."""

    def __init__(self, client, send):
        super().__init__()
        self._client, self._send, self._stop_it = client, send, threading.Event()
        self.begun, self.acknowledged = set(), set()

    def run(self):
        while not self._stop_it.is_set():
            try:
                self._send(self)
            except grpc.RpcError:
                time.sleep(0.05)
            except ValueError:  # the client was closed
                assert self._stop_it.is_set()

    def end(self):
        self._stop_it.set()
        self._client.close()  # ends its retries
        self.join()


def recorder(target, kill, worker):
    client, count = RecommenderClient(target, timeout=20), iter(range(10**9))

    def send(writer):
        names = [f"{kill}-{worker}-{next(count)}" for _ in range(3)]
        writer.begun.update(names)
        events = [Event(event_id=n, user_id="u", item_id="i", action="purchase") for n in names]
        done = client.feedback.record(events)
        assert done.recorded + done.known_before == 3
        writer.acknowledged.update(names)

    return Writer(client, send)


def upserter(target, kill):
    client, count = RecommenderClient(target, timeout=20), iter(range(10**9))

    def send(writer):
        names = [f"{kill}-{next(count)}" for _ in range(2)]
        writer.begun.update(names)
        items = [Item(item_id=name, title="red shirt") for name in names]
        assert client.catalog.upsert(items).upserted == 2
        writer.acknowledged.update(names)

    return Writer(client, send)


@contextmanager
def serving(server):
    """Start a server, give its address and kill it at the end."""
    server.start()
    yield server.target
    server.kill()


def killed(root, times, cwd):
    """Acknowledged events, acknowledged items, and all writes begun."""
    events, items, begun = set(), set(), set()
    with ForkedServer(root, cwd, events=str(root / "events.sqlite")) as server:
        for kill in range(times):
            with serving(server) as target:
                recorders = [recorder(target, kill, worker) for worker in range(3)]
                writers = [*recorders, upserter(target, kill)]
                for writer in writers:
                    writer.start()
                end = time.monotonic() + SECONDS
                while not all(one.acknowledged for one in writers) and time.monotonic() < end:
                    time.sleep(0.01)
                time.sleep(0.03 * (kill % 7))
            for writer in writers:
                writer.end()
                begun |= writer.begun
            for writer in recorders:
                events |= writer.acknowledged
            items |= writers[-1].acknowledged
    return events, items, begun


def check(root, events, items, begun, times):
    store = open_store(str(root / "events.sqlite"))
    kept = [event.event_id for event in store.scan()]
    store.close()
    changed = set(latest(read_journal(changes_path(root))))
    assert len(events) >= 9 * times
    assert len(items) >= 2 * times
    assert events <= set(kept)
    assert items <= changed
    assert len(kept) == len(set(kept))
    assert set(kept) | changed <= begun


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_fifty_kills_of_a_server_lose_no_acknowledged_write(root, pytestconfig):
    check(root, *killed(root, 50, pytestconfig.rootpath), 50)
