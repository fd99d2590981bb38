import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from lineage.manifest import ArtifactError
from lineage.releases import live_release
from serving.api.errors import UnknownItemError
from serving.api.limits import Limits
from serving.engine.engine import EngineConfig
from serving.live.live_engine import LiveEngine
from serving.releases.publish import PublishConfig, publish, roll_back
from serving.releases.reloader import Reloader
from shortlist_client.api.item import Item
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient

SECONDS = 60
CONFIG = EngineConfig(ranked=6, limits=Limits(shortlist=12))


@pytest.fixture
def releases(tmp_path, release):
    folder = tmp_path / "releases" / "shop"
    publish(release, folder, PublishConfig())
    return folder


def load(root):
    return LiveEngine.load(root, CONFIG)


@pytest.fixture
def serving(start, releases):
    """Engine thread of a server with the live release, its reloader, and the server's address."""
    root = live_release(releases)
    server = start(lambda: load(root))
    server.loaded.result(SECONDS)
    return server.server.engine, Reloader(root, load), server.address


def version(client):
    return client.retrieve(Shopper(history=["i3"]), Wishes(limit=1)).versions["release"]


def test_publishing_and_rolling_back_swap_releases_without_failed_requests(
    serving, releases, renamed
):
    thread, reloader, address = serving
    first = live_release(releases).name
    with RecommenderClient(address, timeout=SECONDS) as client, ThreadPoolExecutor() as pool:
        stop = threading.Event()

        def ask():
            seen = set()
            while not stop.is_set():
                answer = client.recommend(Shopper(history=["i3", "i1"]), Wishes(limit=12))
                assert len(answer.items) == 12
                seen.add(answer.versions["release"])
            return seen

        asking = [pool.submit(ask) for _ in range(2)]
        second = publish(renamed, releases, PublishConfig())
        reloader.look(thread)
        assert version(client) == second
        roll_back(releases)
        reloader.look(thread)
        assert version(client) == first
        stop.set()
        assert set().union(*(one.result(SECONDS) for one in asking)) == {first, second}


def test_the_serving_release_is_not_loaded_again(serving):
    thread, reloader, _ = serving
    engine = thread.engine

    reloader.look(thread)

    assert thread.engine is engine


def test_a_damaged_release_leaves_the_old_one_serving_until_a_retry(
    serving, releases, renamed, release, caplog
):
    thread, reloader, address = serving
    first = live_release(releases).name
    second = publish(renamed, releases, PublishConfig())
    damaged = releases / second / "data" / "manifest.json"
    whole = damaged.read_bytes()
    damaged.chmod(0o644)
    damaged.unlink()
    damaged.write_bytes(b"{}")

    with RecommenderClient(address, timeout=SECONDS) as client:
        for _ in range(3):
            reloader.look(thread)
        assert version(client) == first
        (error,) = [r for r in caplog.records if r.levelno == logging.ERROR]
        assert f"{first} goes on, {second} cannot be loaded: " in error.getMessage()
        assert "manifest.json" in error.getMessage()
        damaged.write_bytes(whole)
        reloader.look(thread)
        assert version(client) == first
        reloader.look(thread, again=True)
        assert version(client) == second


def test_a_broken_link_is_logged_once(serving, releases, caplog):
    thread, reloader, _ = serving
    (releases / "CURRENT").unlink()
    (releases / "CURRENT").symlink_to("elsewhere")

    for _ in range(3):
        reloader.look(thread)

    assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 1


def test_stopping_the_server_does_not_wait_for_a_loading_release(start, releases, renamed, caplog):
    root, loading, stopped = live_release(releases), threading.Event(), threading.Event()
    server = start(lambda: load(root))
    server.loaded.result(SECONDS)

    def slowly(folder):
        loading.set()
        assert stopped.wait(SECONDS)
        return load(folder)

    reloader = Reloader(root, slowly)
    publish(renamed, releases, PublishConfig())
    looking = threading.Thread(target=reloader.look, args=(server.server.engine,), daemon=True)
    looking.start()
    assert loading.wait(SECONDS)
    server.drain().result(SECONDS)
    stopped.set()
    looking.join(SECONDS)

    assert not looking.is_alive()
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR] == []


def test_the_old_release_is_freed_from_memory(serving, releases, renamed):
    thread, reloader, address = serving
    old = weakref.ref(thread.engine.current.cascade.ranker.model)
    with RecommenderClient(address, timeout=SECONDS) as client:
        client.recommend(Shopper(history=["i3"]), Wishes(limit=5))
        publish(renamed, releases, PublishConfig())
        reloader.look(thread)
        client.recommend(Shopper(history=["i3"]), Wishes(limit=5))
    gc.collect()

    assert old() is None


def test_changes_before_the_swap_are_in_the_new_engine(serving, releases, renamed):
    thread, reloader, _ = serving
    old = thread.engine
    old.upsert([Item(item_id="b-17", title="teal rug mug"), Item(item_id="i5", title="gold gold")])
    old.delete(["i7"])
    publish(renamed, releases, PublishConfig())

    reloader.look(thread)

    catalogue = thread.engine.current.cascade.catalogue
    assert catalogue.title(catalogue.row("b-17")) == "teal rug mug"
    assert catalogue.title(catalogue.row("i5")) == "gold gold"
    assert catalogue.title(catalogue.row("i238")) == "navy navy"
    assert catalogue.row("i7") is None
    thread.engine.close()


def test_changes_through_the_old_engine_reach_the_new_one(serving, releases, renamed):
    thread, reloader, _ = serving
    old = thread.engine
    old.upsert([Item(item_id="b-17", title="teal rug mug")])
    publish(renamed, releases, PublishConfig())
    reloader.look(thread)

    old.upsert([Item(item_id="b-18", title="lime jar")])
    old.delete(["b-17"])
    with pytest.raises(UnknownItemError):
        old.delete(["b-17"])

    engine = thread.engine
    assert engine is not old
    assert engine.current.cascade.catalogue.row("b-18") is not None
    assert engine.current.cascade.catalogue.row("b-17") is None
    engine.close()
    again = load(live_release(releases)).current.cascade.catalogue
    assert again.row("b-18") is not None
    assert again.row("b-17") is None


def test_changes_during_the_swap_are_in_the_new_engine(serving, releases, renamed):
    thread, reloader, _ = serving
    old, done, written = thread.engine, threading.Event(), []

    def write():
        while not done.is_set():
            item_id = f"n-{len(written)}"
            old.upsert([Item(item_id=item_id, title="lime jar")])
            written.append(item_id)
            time.sleep(0.002)

    with ThreadPoolExecutor() as pool:
        writing = pool.submit(write)
        publish(renamed, releases, PublishConfig())
        reloader.look(thread)
        after = len(written)
        while len(written) < after + 5:
            time.sleep(0.01)
        done.set()
        writing.result(SECONDS)

    assert all(
        thread.engine.current.cascade.catalogue.row(item_id) is not None for item_id in written
    )
    thread.engine.close()


def test_after_a_failed_swap_the_old_engine_accepts_changes(releases, renamed):
    old = load(live_release(releases))
    old.upsert([Item(item_id="b-17", title="teal rug mug")])
    publish(renamed, releases, PublishConfig())
    new = load(live_release(releases))

    with pytest.raises(ArtifactError), old.hand_over(new):
        raise ArtifactError("no")

    old.delete(["b-17"])
    assert old.current.cascade.catalogue.row("b-17") is None
    old.close()


def test_a_change_after_the_successor_loaded_overrides_its_older_one(releases, renamed):
    """Both were encoded again by the models of another release."""
    old = load(live_release(releases))
    old.upsert([Item(item_id=name, title="teal rug") for name in ("b-17", "b-18")])
    publish(renamed, releases, PublishConfig())
    new = load(live_release(releases))
    old.upsert([Item(item_id="b-17", title="lime jar")])
    old.delete(["b-18"])

    with old.hand_over(new):
        pass
    new.close()

    for engine in (new, load(live_release(releases))):
        catalogue = engine.current.cascade.catalogue
        assert catalogue.title(catalogue.row("b-17")) == "lime jar"
        assert catalogue.row("b-18") is None
        assert "b-18" not in {
            item.item_id
            for item in engine.current.retrieve(Shopper(search="teal rug"), Wishes(limit=12)).items
        }


@pytest.mark.slow
def test_a_server_follows_published_releases(pytestconfig, releases, renamed):
    command = [sys.executable, "-m", "serving", "serve", "--releases", str(releases)]
    command += ["--server.port", "0", "--server.reload_seconds", "0.1", "--limits.shortlist", "12"]
    process = subprocess.Popen(
        command, cwd=pytestconfig.rootpath, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    try:
        line = next(line for line in process.stderr if "serving on" in line)
        second = publish(renamed, releases, PublishConfig())
        assert next(line for line in process.stderr if f"serving {second} instead of" in line)
        with RecommenderClient(line.split("serving on ")[1].split(": ")[0]) as client:
            assert version(client) == second
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_the_switch_interval_is_short_while_a_release_loads(serving, releases, renamed):
    thread, _, _ = serving
    usual, meanwhile = sys.getswitchinterval(), []

    def loaded(root):
        meanwhile.append(sys.getswitchinterval())
        if len(meanwhile) == 1:
            raise OSError("the disk is away")
        return load(root)

    reloader = Reloader(live_release(releases), loaded)
    publish(renamed, releases, PublishConfig())
    for _ in range(2):
        reloader.look(thread, again=True)
        assert sys.getswitchinterval() == usual

    assert max(meanwhile) < usual / 10
    assert len(meanwhile) == 2
