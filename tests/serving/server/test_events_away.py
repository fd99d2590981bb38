import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from events.event_store import StoreError
from events.open_store import open_store
from retrieval.embedding_cache import CacheConfig
from serving.server.user_events import EventsConfig
from shortlist_client.api.answer import Degraded
from shortlist_client.api.event import Event
from shortlist_client.api.request import Shopper
from shortlist_client.client import RecommenderClient

SECONDS = 30


class Moody:
    """A store that reads, refuses or hangs, as it is told."""

    def __init__(self, store):
        self._store, self.mood, self.looks = store, "reads", 0
        self.gate = threading.Event()

    def history(self, *asked):
        self.looks += 1
        if self.mood == "hangs":
            assert self.gate.wait(SECONDS)
        if self.mood == "refuses":
            raise StoreError("/secret/path: gone")
        return self._store.history(*asked)

    def __getattr__(self, name):
        return getattr(self._store, name)


@pytest.fixture
def store(tmp_path):
    store = Moody(open_store(str(tmp_path / "events.sqlite")))
    store.append([Event(event_id="e", user_id="u", item_id="i", action="purchase", time=1)])
    yield store
    store.gate.set()


@pytest.fixture(params=["without", "with"])
def client(request, start, fake, store, monkeypatch):
    """Of a server that keeps no answers, and of one that does."""
    monkeypatch.setattr("serving.server.user_events.PAUSE_SECONDS", 0.4)
    events = EventsConfig(lookup_seconds=0.3)
    options = {"cache": CacheConfig()} if request.param == "with" else {}
    running = start(lambda: fake, parts={"store": store, "events": events}, **options)
    running.loaded.result(SECONDS)
    with RecommenderClient(running.address, timeout=SECONDS) as client:
        yield client
        store.gate.set()


def told(fake):
    """Ids of the events that the engine was told of last."""
    return [event.event_id for event in fake.requests[-1].recent]


@pytest.mark.parametrize("mood", ["refuses", "hangs"])
@pytest.mark.parametrize("method", ["recommend", "retrieve"])
def test_without_its_events_an_answer_rests_on_the_release_and_says_so(
    client, fake, store, mood, method
):
    store.mood = mood

    answer = getattr(client, method)(Shopper(user_id="u"))

    assert answer.items == fake.answer.items
    assert answer.degraded is Degraded.HISTORY
    assert told(fake) == []


def test_ranking_goes_on_too_and_the_log_says_why(client, store, caplog):
    store.mood = "refuses"

    assert client.rank(["c"], Shopper(user_id="u")).degraded is Degraded.HISTORY
    assert "users' events cannot be read now: /secret/path: gone" in caplog.text


@pytest.mark.parametrize("mood", ["refuses", "hangs"])
def test_when_the_store_is_back_answers_are_whole_again(client, fake, store, mood):
    store.mood = mood
    assert client.recommend(Shopper(user_id="u")).degraded is Degraded.HISTORY
    store.mood = "reads"
    store.gate.set()

    end = time.monotonic() + SECONDS
    while client.recommend(Shopper(user_id="u")).degraded is not None:
        assert time.monotonic() < end
        time.sleep(0.02)

    assert told(fake) == ["e"]
    assert client.recommend(Shopper(user_id="u")).degraded is None


def test_a_store_that_hangs_is_waited_for_once_and_not_by_everybody(client, store):
    store.mood = "hangs"
    client.recommend(Shopper(user_id="u"))
    looks, started = store.looks, time.monotonic()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: client.recommend(Shopper(user_id=f"u{n}")), range(64)))

    assert all(answer.degraded is Degraded.HISTORY for answer in answers)
    taken = time.monotonic() - started
    assert store.looks - looks <= 1 + taken / 0.4
    assert taken < 64 * 0.3 / 8


def test_a_deadline_that_is_shorter_than_the_wait_is_kept(client, store, start, fake):
    store.mood = "hangs"
    patient = EventsConfig(lookup_seconds=60.0)
    running = start(lambda: fake, parts={"store": store, "events": patient})
    running.loaded.result(SECONDS)

    with RecommenderClient(running.address, timeout=2.0) as hasty:
        assert hasty.recommend(Shopper(user_id="u")).degraded is Degraded.HISTORY
    store.gate.set()


def test_who_needs_no_events_is_answered_whole(client, store):
    store.mood = "refuses"

    assert client.recommend(Shopper(history=["i3"], user_id="u")).degraded is None
    assert client.recommend(Shopper()).degraded is None
    assert client.similar("i3").degraded is None


def test_a_wait_without_sense_is_refused():
    with pytest.raises(ValueError, match="lookup_seconds must be positive, got 0"):
        EventsConfig(lookup_seconds=0)
