"""Servers are killed while events are recorded and items changed; what was acknowledged stays."""

import re
import subprocess
import sys
import threading
import time

import grpc
import pytest

from events.event import Event
from events.store import open_store
from lineage.journal import read_journal
from serving.changes import Item, changes_path, latest
from serving.client import RecommenderClient

SECONDS = 60
STAGES = ("data", "trial", "towers", "index", "ranker")
SERVER = """
import sys
import torch
from serving.__main__ import main
torch.set_num_threads(1)
main(sys.argv[1:])
"""


@pytest.fixture
def root(release, tmp_path):
    root = tmp_path / "shop"
    root.mkdir()
    for stage in STAGES:
        (root / stage).symlink_to(release / stage)
    return root


class Writer(threading.Thread):
    """Sends until it is stopped, with what was sent before sent again at times."""

    def __init__(self, send):
        super().__init__()
        self._send, self._stop_it = send, threading.Event()
        self.begun, self.acknowledged = set(), set()

    def run(self):
        while not self._stop_it.is_set():
            try:
                self._send(self)
            except grpc.RpcError:
                time.sleep(0.05)

    def end(self):
        self._stop_it.set()
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

    return Writer(send)


def upserter(target, kill):
    client, count = RecommenderClient(target, timeout=20), iter(range(10**9))

    def send(writer):
        names = [f"{kill}-{next(count)}" for _ in range(2)]
        writer.begun.update(names)
        items = [Item(item_id=name, title="red shirt") for name in names]
        assert client.catalog.upsert(items).upserted == 2
        writer.acknowledged.update(names)

    return Writer(send)


def started(root, cwd):
    command = [sys.executable, "-c", SERVER, "serve", "--artifacts", str(root)]
    command += ["--server.port", "0"]
    process = subprocess.Popen(command, cwd=cwd, stderr=subprocess.PIPE, text=True)
    lines = []
    for line in process.stderr:
        lines.append(line)
        if found := re.search(r"serving on (\S+):\d+: ", line):
            port = re.search(r":(\d+): ", line[line.index(found[1]) :])[1]
            reader = threading.Thread(target=process.stderr.read)
            reader.start()
            return process, reader, f"{found[1]}:{port}"
    process.kill()
    raise AssertionError("".join(lines))


def killed(root, times, cwd):
    """Acknowledged and begun writes, of events and of items."""
    events, items, begun = set(), set(), set()
    for kill in range(times):
        process, reader, target = started(root, cwd)
        recorders = [recorder(target, kill, worker) for worker in range(3)]
        writers = [*recorders, upserter(target, kill)]
        for writer in writers:
            writer.start()
        end = time.monotonic() + SECONDS
        while not all(writer.acknowledged for writer in writers) and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.03 * (kill % 7))
        process.kill()
        process.wait()
        reader.join()
        process.stderr.close()
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


@pytest.mark.timeout(300)
def test_a_killed_server_has_lost_nothing_that_it_acknowledged(root, pytestconfig):
    check(root, *killed(root, 2, pytestconfig.rootpath), 2)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_server_killed_fifty_times_has_lost_nothing_that_it_acknowledged(root, pytestconfig):
    check(root, *killed(root, 50, pytestconfig.rootpath), 50)
