"""Recorded events move the answers of a running server."""

import logging
import threading
import time

import pytest
from prometheus_client import generate_latest

from events.event_store import StoreError
from serving.api.protocol import Recounted
from serving.live.live_engine import LiveEngine
from serving.server.users.events_config import EventsConfig
from serving.server.users.recounting import Recounting
from shortlist_client.api.event import Event
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient

SECONDS = 30
SOON = 0.001
"""Minutes between rounds"""
DONE = Recounted(read=2, events=5, counted=4, as_of=3_600, pairs=None)


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    monkeypatch.setattr("serving.server.users.recounting.WAIT_SECONDS", 0.02)


def until(condition):
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


class Rounds:
    """The rounds of a fake engine: each counts, or raises `error`."""

    def __init__(self, fake):
        self.seen, self.error, fake.recount = [], None, self

    def __call__(self, store, actions, *, stopped):
        self.seen.append(actions)
        if self.error is not None:
            raise self.error
        return DONE


@pytest.fixture
def rounds(fake):
    return Rounds(fake)


@pytest.fixture
def served(start, store):
    def served(load, minutes=SOON):
        events = EventsConfig(recount_minutes=minutes)
        running = start(load, parts={"store": store, "events": events})
        running.loaded.result(SECONDS)
        return running

    return served


def metrics(running):
    return generate_latest(running.server.metrics.registry).decode()


def test_what_many_users_buy_becomes_a_best_seller_without_a_restart(served, base, root):
    running = served(lambda: LiveEngine(base, root))
    now = int(time.time())
    events = [
        Event(
            event_id=f"{n}",
            user_id=f"new {n}",
            item_id="i7",
            action="Purchase",
            time=now - 2 * 3_600,
        )
        for n in range(12)
    ]
    with RecommenderClient(running.address, timeout=SECONDS) as client:

        def best():
            return client.recommend(Shopper(), Wishes(limit=1)).items[0]

        assert best().item_id != "i7"
        client.feedback.record(events)

        until(lambda: best().item_id == "i7")
        assert best().score == 12


def test_a_round_is_one_line_of_the_log_and_its_age_a_metric(served, fake, rounds, caplog):
    caplog.set_level(logging.INFO)
    running = served(lambda: fake, minutes=60)

    until(lambda: "recounted in" in caplog.text)

    assert "2 new events; 5 since the release's data, 4 of them purchases" in caplog.text
    assert "as of 1970-01-01 01:00 UTC; neighbours as before" in caplog.text
    assert "shortlist_counts_age_seconds 0." in metrics(running)
    assert rounds.seen[0][0] == "purchase"


def test_another_release_is_recounted_soon(served, fake, rounds):
    running = served(lambda: fake, minutes=60)
    until(lambda: len(rounds.seen) == 1)
    other = type(fake)()
    of_other = Rounds(other)

    running.server.engine.replace(other)

    until(lambda: len(of_other.seen) == 1)
    time.sleep(0.1)
    assert (len(rounds.seen), len(of_other.seen)) == (1, 1)


def test_a_failure_is_logged_once_and_ends(served, fake, rounds, caplog):
    rounds.error = StoreError("the store is away")
    running = served(lambda: fake)
    until(lambda: len(rounds.seen) > 3)
    assert caplog.text.count("events cannot be counted now") == 1
    assert "the store is away" in caplog.text
    assert "shortlist_counts_age_seconds" not in metrics(running)

    rounds.error = None
    until(lambda: "shortlist_counts_age_seconds" in metrics(running))
    rounds.error = StoreError("the store is away")
    until(lambda: caplog.text.count("events cannot be counted now") == 2)


def test_without_an_interval_nothing_is_counted(served, fake, rounds):
    served(lambda: fake, minutes=0)

    time.sleep(0.1)
    assert rounds.seen == []


def test_a_release_without_times_says_so_once(served, fake, caplog):
    caplog.set_level(logging.INFO)
    calls = []
    fake.recount = lambda *_, **__: calls.append(1)
    served(lambda: fake)

    until(lambda: len(calls) > 3)
    assert caplog.text.count("its interactions have no times") == 1


def test_stopping_ends_a_round_and_the_thread(fake, store):
    entered = threading.Event()

    def recount(store, actions, *, stopped):
        entered.set()
        until(stopped)

    fake.recount = recount

    class Thread:
        engine = fake

    recounting = Recounting(store, EventsConfig(), Thread())
    recounting.start()
    assert entered.wait(SECONDS)
    recounting.stop()

    assert "recounting" not in [thread.name for thread in threading.enumerate()]
    assert recounting.age_seconds is None
    store.close()


def test_an_interval_below_zero_is_refused():
    with pytest.raises(ValueError, match="recount_minutes must be at least 0, got -1"):
        EventsConfig(recount_minutes=-1)
