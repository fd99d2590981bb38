import asyncio
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
from datetime import datetime
from functools import partial
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry

from lineage.manifest import ArtifactError
from lineage.releases import live_release, read_record
from serving.api.errors import UnknownItemError
from serving.api.limits import Limits
from serving.engine.engine import EngineConfig
from serving.live.live_engine import LiveEngine
from serving.releases.publish import PublishConfig, publish, roll_back
from serving.releases.release_metrics import ReleaseCollector
from serving.releases.reloader import Reloader
from serving.releases.retries import LONGEST_SECONDS, Retries
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


class Clock:
    """Monotonic time that passes when a test says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def failing(serving, releases, renamed, clock):
    """Reloader whose attempts at a newly live release fail with `errors`, newest last."""
    attempts, errors = [], []

    def loaded(root):
        attempts.append(clock.now)
        if errors:
            raise errors[-1]
        return load(root)

    reloader = Reloader(
        live_release(releases), loaded, retries=partial(Retries, clock=clock, chance=lambda: 1.0)
    )
    publish(renamed, releases, PublishConfig())
    return SimpleNamespace(reloader=reloader, attempts=attempts, errors=errors, thread=serving[0])


def errors_logged(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]


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
            while not stop.wait(0.05):  # loading needs the processor, too
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


def test_a_damaged_release_leaves_the_old_one_serving_until_it_is_mended(
    serving, releases, renamed, clock, caplog
):
    thread, _, address = serving
    reloader = Reloader(live_release(releases), load, retries=partial(Retries, clock=clock))
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
            clock.now += LONGEST_SECONDS
        assert version(client) == first
        (error,) = errors_logged(caplog)
        assert f"{first} goes on, {second} cannot be loaded, and is tried again: " in error
        assert "manifest.json" in error
        damaged.write_bytes(whole)
        reloader.look(thread)
        assert version(client) == second
        assert reloader.serving == second


def test_a_failed_swap_is_tried_again_with_growing_pauses_until_it_succeeds(failing, clock, caplog):
    failing.errors.append(OSError("too many open files"))
    first = failing.reloader.serving
    for _ in range(2_000):
        failing.reloader.look(failing.thread)
        clock.now += 0.1
    pauses = [b - a for a, b in zip(failing.attempts, failing.attempts[1:], strict=False)]

    assert pauses == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60], abs=0.11)
    assert failing.reloader.failures == len(failing.attempts)
    assert failing.reloader.serving == first
    assert len(errors_logged(caplog)) == 1
    failing.errors.clear()
    clock.now += LONGEST_SECONDS
    failing.reloader.look(failing.thread)
    assert failing.reloader.serving != first
    assert failing.thread.engine.current.versions["release"] == failing.reloader.serving
    assert failing.reloader.failures == 0


def test_each_reason_of_a_failed_swap_is_logged_once(failing, clock, caplog):
    for reason in ("no space", "no file", "no space", "no space", "no file"):
        failing.errors.append(ArtifactError(reason))
        failing.reloader.look(failing.thread)
        clock.now += LONGEST_SECONDS

    assert [error.rpartition(": ")[2] for error in errors_logged(caplog)] == ["no space", "no file"]


def test_a_release_that_becomes_live_again_is_tried_at_once(failing, releases):
    failing.errors.append(ArtifactError("no"))
    first, second = failing.reloader.serving, live_release(releases).name
    failing.reloader.look(failing.thread)
    failing.errors.clear()
    failing.reloader.look(failing.thread)
    assert (failing.reloader.failures, failing.reloader.serving) == (1, first)  # it waits

    roll_back(releases, first)
    failing.reloader.look(failing.thread)
    assert failing.reloader.failures == 0
    roll_back(releases, second)
    failing.reloader.look(failing.thread)

    assert failing.reloader.serving == second


def test_asking_shortens_the_pause_to_a_second(failing, clock):
    failing.errors.append(ArtifactError("no"))
    for _ in range(5):
        failing.reloader.look(failing.thread)
        clock.now += LONGEST_SECONDS
    tried = len(failing.attempts)
    failing.reloader.look(failing.thread)
    for _ in range(300):
        failing.reloader.look(failing.thread, again=True)
    assert len(failing.attempts) == tried + 1
    clock.now += 1
    failing.reloader.look(failing.thread)  # it is still known that somebody asked
    assert len(failing.attempts) == tried + 2
    clock.now += 1
    failing.reloader.look(failing.thread)
    assert len(failing.attempts) == tried + 2


def test_attempts_take_at_most_half_of_the_time(clock):
    retries = Retries("r", clock=clock, chance=lambda: 0.0)
    retries.failed("slow", seconds=300)
    clock.now += 299
    assert not retries.is_due(asked=False)
    clock.now += 1
    assert retries.is_due(asked=False)


def test_a_request_to_look_that_comes_during_a_look_is_not_lost(serving):
    thread, reloader, _ = serving
    looks, begun, go_on = [], threading.Event(), threading.Event()

    def look(thread, *, again):
        looks.append(again)
        begun.set()
        assert go_on.wait(SECONDS)

    reloader.look = look

    async def follow():
        asked = asyncio.Event()
        following = asyncio.create_task(reloader.follow(thread, every=SECONDS, asked=asked))
        asked.set()
        await asyncio.to_thread(begun.wait, SECONDS)
        for _ in range(300):
            asked.set()
        go_on.set()
        while len(looks) < 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        following.cancel()

    asyncio.run(follow())

    assert looks == [True, True]


def test_metrics_name_the_served_release_its_age_and_the_failed_swaps(failing, clock):
    registry = CollectorRegistry()
    registry.register(ReleaseCollector(failing.reloader))
    failing.errors.append(ArtifactError("no"))
    served = failing.reloader.serving
    for _ in range(2):
        failing.reloader.look(failing.thread)
        clock.now += LONGEST_SECONDS

    assert registry.get_sample_value("shortlist_release_info", {"release_id": served}) == 1
    assert registry.get_sample_value("shortlist_release_swap_failures") == 2
    published = datetime.fromisoformat(read_record(failing.reloader.releases / served).when)
    age = registry.get_sample_value("shortlist_release_age_seconds")
    assert age == pytest.approx(time.time() - published.timestamp(), abs=1)
    failing.errors.clear()
    failing.reloader.look(failing.thread)
    assert registry.get_sample_value("shortlist_release_swap_failures") == 0
    assert registry.get_sample_value("shortlist_release_info", {"release_id": served}) is None


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


def test_the_switch_interval_is_short_while_a_release_loads(serving, releases, renamed, clock):
    thread, _, _ = serving
    usual, meanwhile = sys.getswitchinterval(), []

    def loaded(root):
        meanwhile.append(sys.getswitchinterval())
        if len(meanwhile) == 1:
            raise OSError("the disk is away")
        return load(root)

    retries = partial(Retries, clock=clock)
    reloader = Reloader(live_release(releases), loaded, retries=retries)
    publish(renamed, releases, PublishConfig())
    for _ in range(2):
        reloader.look(thread)
        clock.now += LONGEST_SECONDS
        assert sys.getswitchinterval() == usual

    assert max(meanwhile) < usual / 10
    assert len(meanwhile) == 2
