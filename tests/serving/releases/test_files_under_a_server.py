"""Files of the live release are deleted, replaced, overwritten or truncated under a server."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading

import grpc
import numpy as np
import pytest

from lineage.arrays import MAPPED_MIB
from lineage.releases import live_release
from serving.api.limits import Limits
from serving.engine.engine import EngineConfig
from serving.live.live_engine import LiveEngine
from serving.releases.publish import PublishConfig, publish, roll_back
from shortlist_client.api.filters import AnyOf, Filters
from shortlist_client.api.item import Item
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient

SECONDS = 120
CONFIG = EngineConfig(limits=Limits(shortlist=12))
SHOPPERS = (
    Shopper(history=["i3", "i1"]),
    Shopper(user_id="u7"),
    Shopper(search="teal rug"),
    Shopper(),
)
RED = Filters(must=[AnyOf("colour", ["red"])])


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "releases" / "shop"


@pytest.fixture
def previous(renamed, folder):
    """The release before the live one."""
    return publish(renamed, folder, PublishConfig())


@pytest.fixture
def live(release, folder, tmp_path):
    """The live release, whose files may be changed."""
    stages = shutil.copytree(release, tmp_path / "artifacts" / "shop")
    publish(stages, folder, PublishConfig(last_fit=False))
    return live_release(folder)


def answers(engine):
    """What the engine says of all kinds of requests: items with all their scores, and fields."""
    now = engine.current
    found = [
        now.recommend(shopper, wishes).items
        for shopper in SHOPPERS
        for wishes in (Wishes(limit=9), Wishes(limit=9, filters=RED))
    ]
    found.append(now.similar("i3", Wishes(limit=9)).items)
    found.append(now.recommend(SHOPPERS[0], Wishes(limit=3, explain_texts=True)).items)
    return found, [now.cascade.catalogue.find(f"i{row}") for row in (3, 99, 239)]


@pytest.fixture(scope="module")
def expected(release):
    """The answers of the release while nobody touches its files."""
    engine = LiveEngine.load(release, CONFIG)
    yield answers(engine)
    engine.close()


def truncate(path):
    path.chmod(0o644)
    os.truncate(path, 0)


def overwrite(path):
    path.chmod(0o644)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(np.random.default_rng(0).bytes(size))


def exchange(path):
    content = bytes(path.stat().st_size)
    path.unlink()
    path.write_bytes(content)


@pytest.mark.parametrize("change", [truncate, overwrite, exchange, os.unlink])
def test_no_answer_and_no_upsert_depends_on_a_file_after_the_release_is_loaded(
    live, change, expected
):
    engine = LiveEngine.load(live, CONFIG)
    for path in [path for path in live.rglob("*.*") if path.is_file() and path.parent != live]:
        change(path)

    assert answers(engine) == expected
    engine.upsert([Item(item_id="n1", title="teal rug mug")])
    assert engine.current.cascade.catalogue.row("n1") is not None
    engine.close()


@pytest.mark.parametrize("change", [exchange, os.unlink])
def test_mapped_files_may_be_replaced_and_deleted(live, change, monkeypatch, expected):
    monkeypatch.setenv(MAPPED_MIB, "0")
    engine = LiveEngine.load(live, CONFIG)
    for path in [path for path in live.rglob("*") if path.is_file()]:
        change(path)

    assert answers(engine) == expected


class Supervisor:
    """Starts a server again whenever it ends, and logs how it ended."""

    def __init__(self, command, **options):
        self.log = []
        self._starting = threading.Condition()
        self._command, self._options, self._stopping = command, options, False
        self._address = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def address(self):
        """Address of the next server that is ready."""
        with self._starting:
            assert self._starting.wait_for(lambda: self._address, SECONDS), self.log
            found, self._address = self._address, None
            return found

    def until(self, line):
        """Wait until the log has a line; return that line."""
        with self._starting:
            assert self._starting.wait_for(lambda: any(line in one for one in self.log), SECONDS)
            return next(one for one in self.log if line in one)

    def stop(self):
        self._stopping = True
        self._process.kill()
        self._thread.join(SECONDS)

    def _run(self):
        while not self._stopping:
            self._process = subprocess.Popen(
                self._command, stderr=subprocess.PIPE, text=True, **self._options
            )
            for line in self._process.stderr:
                found = re.search(r"serving on (\S+): ", line)
                self._note(line.rstrip(), found[1] if found else None)
            code = self._process.wait()
            self._process.stderr.close()
            by = signal.Signals(-code).name if code < 0 else f"status {code}"
            self._note(f"the server ended by {by}; starting it again")

    def _note(self, line, address=None):
        with self._starting:
            self.log.append(line)
            self._address = address or self._address
            self._starting.notify_all()


@pytest.fixture
def supervised(pytestconfig, previous, live):
    command = [sys.executable, "-m", "serving", "serve", "--releases", str(live.parent)]
    command += ["--server.port", "0", "--limits.shortlist", "12"]
    supervisor = Supervisor(command, cwd=pytestconfig.rootpath, env={**os.environ, MAPPED_MIB: "0"})
    yield supervisor
    supervisor.stop()


@pytest.mark.slow
def test_a_server_whose_mapped_file_is_truncated_ends_by_sigbus_and_refuses_the_release_afterwards(
    supervised, previous, live
):
    with RecommenderClient(supervised.address(), timeout=SECONDS) as client:
        truncate(live / "data" / "fields.utf8.npy")
        with pytest.raises(grpc.RpcError):
            client.catalog.get(["i3"])

    supervised.until("the server ended by SIGBUS; starting it again")
    assert any("Bus error" in line for line in supervised.log)
    refused = supervised.until("data/fields.utf8.npy is changed since it was published")
    assert "`make rollback DATASET=shop RELEASE=id`" in refused
    supervised.until("the server ended by status 2; starting it again")
    assert roll_back(live.parent) == previous
    with RecommenderClient(supervised.address(), timeout=SECONDS) as client:
        answer = client.retrieve(Shopper(history=["i3"]), Wishes(limit=1))
        assert answer.versions["release"] == previous
