import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from events.event_store import StoreError
from events.open_store import open_store
from retrieval.cache_config import CacheConfig
from serving.server.users.events_config import EventsConfig
from shortlist_client.api.answer import Degraded
from shortlist_client.api.event import Event
from shortlist_client.api.request import Shopper
from shortlist_client.client import RecommenderClient

SECONDS = 30


class UnreliableStore:
    """A store that works, fails or hangs, by its `mode`."""

    def __init__(self, store):
        self._store, self.mode, self.reads = store, "works", 0
        self.gate = threading.Event()

    def history(self, *arguments):
        self.reads += 1
        if self.mode == "hangs":
            assert self.gate.wait(SECONDS)
        if self.mode == "fails":
            raise StoreError("/secret/path: gone")
        return self._store.history(*arguments)

    def __getattr__(self, name):
        return getattr(self._store, name)


@pytest.fixture
def store(tmp_path):
    store = UnreliableStore(open_store(str(tmp_path / "events.sqlite")))
    store.append([Event(event_id="e", user_id="u", item_id="i", action="purchase", time=1)])
    yield store
    store.gate.set()


@pytest.fixture(params=["no cache", "cache"])
def client(request, start, fake, store, monkeypatch):
    """Client of a server without and of one with a cache."""
    monkeypatch.setattr("serving.server.users.user_events.PAUSE_SECONDS", 0.4)
    events = EventsConfig(lookup_seconds=0.3)
    options = {"cache": CacheConfig()} if request.param == "cache" else {}
    running = start(lambda: fake, parts={"store": store, "events": events}, **options)
    running.loaded.result(SECONDS)
    with RecommenderClient(running.address, timeout=SECONDS) as client:
        yield client
        store.gate.set()


def recent(fake):
    """Ids of the recent events in the engine's last request."""
    return [event.event_id for event in fake.requests[-1].recent]


@pytest.mark.parametrize("mode", ["fails", "hangs"])
@pytest.mark.parametrize("method", ["recommend", "retrieve"])
def test_an_answer_without_the_users_events_is_degraded(client, fake, store, mode, method):
    store.mode = mode

    answer = getattr(client, method)(Shopper(user_id="u"))

    assert answer.items == fake.answer.items
    assert answer.degraded is Degraded.HISTORY
    assert recent(fake) == []


def test_a_ranking_without_the_users_events_is_degraded_and_the_log_says_why(client, store, caplog):
    store.mode = "fails"

    assert client.rank(["c"], Shopper(user_id="u")).degraded is Degraded.HISTORY
    assert "users' events cannot be read now: /secret/path: gone" in caplog.text


@pytest.mark.parametrize("mode", ["fails", "hangs"])
def test_answers_are_complete_again_when_the_store_is_back(client, fake, store, mode):
    store.mode = mode
    assert client.recommend(Shopper(user_id="u")).degraded is Degraded.HISTORY
    store.mode = "works"
    store.gate.set()

    end = time.monotonic() + SECONDS
    while client.recommend(Shopper(user_id="u")).degraded is not None:
        assert time.monotonic() < end
        time.sleep(0.02)

    assert recent(fake) == ["e"]
    assert client.recommend(Shopper(user_id="u")).degraded is None


def test_a_hanging_store_delays_one_request_and_not_all(client, store):
    store.mode = "hangs"
    client.recommend(Shopper(user_id="u"))
    reads, started = store.reads, time.monotonic()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: client.recommend(Shopper(user_id=f"u{n}")), range(64)))

    assert all(answer.degraded is Degraded.HISTORY for answer in answers)
    taken = time.monotonic() - started
    assert store.reads - reads <= 1 + taken / 0.4


def test_a_hanging_store_does_not_break_the_deadline(client, store, start, fake):
    store.mode = "hangs"
    patient = EventsConfig(lookup_seconds=60.0)
    running = start(lambda: fake, parts={"store": store, "events": patient})
    running.loaded.result(SECONDS)

    with RecommenderClient(running.address, timeout=2.0) as hasty:
        assert hasty.recommend(Shopper(user_id="u")).degraded is Degraded.HISTORY
    store.gate.set()


def test_requests_that_need_no_events_are_answered_completely(client, store):
    store.mode = "fails"

    assert client.recommend(Shopper(history=["i3"], user_id="u")).degraded is None
    assert client.recommend(Shopper()).degraded is None
    assert client.similar("i3").degraded is None


def test_a_time_limit_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match="lookup_seconds must be positive, got 0"):
        EventsConfig(lookup_seconds=0)
