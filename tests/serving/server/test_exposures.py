"""What a server shows is logged, and no answer waits for it or fails by it."""

import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from events.event_store import StoreError
from events.open_store import open_store
from retrieval.cache_config import CacheConfig
from serving.server.users import exposure_log
from serving.server.users.exposure_log import is_sampled
from serving.server.users.exposures_config import ExposuresConfig
from shortlist_client.api.event import Event
from shortlist_client.api.exposure import Exposure
from shortlist_client.api.privacy import Erased
from shortlist_client.api.request import Shopper, Wishes
from shortlist_client.client import RecommenderClient

SECONDS = 20
ALL = ExposuresConfig(rate=1.0)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(exposure_log, "WRITE_SECONDS", 0.01)


class UnreliableExposures:
    """Exposures of a store that work, fail or hang, by its `mode`."""

    def __init__(self, store):
        self._store, self.mode = store, "works"
        self.hanging, self.gate = threading.Event(), threading.Event()

    def append(self, exposures, **given):
        if self.mode == "hangs":
            self.hanging.set()
            assert self.gate.wait(SECONDS)
        if self.mode == "fails":
            raise StoreError("/secret/path: gone")
        return self._store.append(exposures, **given)

    def prune(self, **given):
        if self.mode == "fails":
            raise StoreError("/secret/path: gone")
        return self._store.prune(**given)

    def __getattr__(self, name):
        return getattr(self._store, name)


class Store:
    """A store whose exposures may fail."""

    def __init__(self, store):
        self._store, self.exposures = store, UnreliableExposures(store.exposures)

    def __getattr__(self, name):
        return getattr(self._store, name)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.sqlite"


@pytest.fixture
def store(path):
    store = Store(open_store(str(path)))
    yield store
    store.exposures.gate.set()


@pytest.fixture
def seen(path):
    """What another process sees in the store, once it holds as many exposures."""
    other = open_store(str(path))

    def seen(count):
        end = time.monotonic() + SECONDS
        while other.exposures.count() < count and time.monotonic() < end:
            time.sleep(0.01)
        return list(other.exposures.scan())

    yield seen
    other.close()


@pytest.fixture
def serving(start, fake, store):
    """Starts a server and returns its client, which has the server as `running`."""
    clients = []

    def serving(config=ALL, *, token=None, parts=(), **options):
        given = {"store": store, "exposures": config, **dict(parts)}
        running = start(lambda: fake, parts=given, **options)
        running.loaded.result(SECONDS)
        client = RecommenderClient(running.address, timeout=SECONDS, token=token)
        client.running = running
        clients.append(client)
        return client

    yield serving
    for client in clients:
        client.close()


def counted(client, name, **labels):
    registry = client.running.server.metrics.registry
    return registry.get_sample_value(f"shortlist_exposures_{name}_total", labels)


def counts(client, reason, number):
    """Wait until as many exposures were dropped for a reason."""
    end = time.monotonic() + SECONDS
    while (found := counted(client, "dropped", reason=reason)) < number:
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


def test_an_exposure_holds_what_was_shown_and_to_whom(serving, fake, seen):
    fake.versions = {**fake.versions, "release": "r-1"}
    client = serving()

    before = int(time.time())
    wishes = Wishes(request_id="a", placement="home/top")
    answer = client.recommend(Shopper(user_id="u"), wishes)
    (shown,) = seen(1)

    assert before <= shown.time <= time.time()
    assert replace(shown, time=0) == Exposure(
        request_id="a",
        time=0,
        user_id="u",
        placement="home/top",
        method="recommend",
        release="r-1",
        item_ids=("50", "7"),
        scores=(2.5, 0.125),
    )
    assert [item.item_id for item in answer.items] == ["50", "7"]
    assert counted(client, "written") == 1


def test_every_call_that_shows_items_is_logged_once(serving, seen):
    client = serving()

    client.recommend(Shopper(user_id="u"), Wishes(request_id="a"))
    client.retrieve(Shopper(history=["i"]), Wishes(request_id="b"))
    client.similar("i", Wishes(request_id="c"))
    pairs = [(Shopper(user_id="u"), Wishes(request_id="d"))]
    assert [answer.request_id for _, answer in client.recommend_many(pairs)] == ["d"]
    client.rank(["i"], Shopper(user_id="u"), Wishes(request_id="e"))
    client.embed.shopper(Shopper(user_id="u"), Wishes(request_id="f"))

    logged = {one.request_id: (one.method, one.user_id) for one in seen(4)}
    assert logged == {
        "a": ("recommend", "u"),
        "b": ("retrieve", ""),
        "c": ("similar", ""),
        "d": ("recommend", "u"),
    }


def test_answers_from_the_cache_are_logged_under_their_own_request(serving, fake, seen):
    client = serving(cache=CacheConfig())

    for name in "ab":
        client.recommend(Shopper(user_id="u"), Wishes(request_id=name))
    made = [client.recommend(Shopper(user_id="u")).request_id for _ in range(2)]

    assert len(fake.calls) == 1
    assert {one.request_id for one in seen(4)} == {"a", "b", *made}
    assert len(set(made)) == 2


def test_an_answer_gets_a_request_id_only_where_exposures_are_on(serving):
    on, off = serving(), serving(ExposuresConfig())

    assert len(on.recommend(Shopper(user_id="u")).request_id) == 32
    assert on.recommend(Shopper(user_id="u"), Wishes(request_id="mine")).request_id == "mine"
    ((_, streamed),) = on.recommend_many([(Shopper(user_id="u"), Wishes())])
    assert len(streamed.request_id) == 32
    assert off.recommend(Shopper(user_id="u")).request_id == ""


def test_without_a_rate_nothing_is_logged(serving, seen):
    client = serving(ExposuresConfig())

    client.recommend(Shopper(user_id="u"))
    client.running.drain().result(SECONDS)

    assert seen(0) == []


def test_an_empty_answer_shows_nothing(serving, fake, seen):
    client = serving()
    fake.answer = replace(fake.answer, items=[])

    client.recommend(Shopper(user_id="u"))
    client.running.drain().result(SECONDS)

    assert seen(0) == []


def test_a_server_that_stops_writes_what_was_queued(serving, seen, monkeypatch):
    monkeypatch.setattr(exposure_log, "WRITE_SECONDS", 1_000.0)
    client = serving()
    for n in range(exposure_log.BATCH + 50):
        client.recommend(Shopper(user_id=f"u{n}"))
    assert seen(0) == []

    client.running.drain().result(SECONDS)

    assert len(seen(0)) == exposure_log.BATCH + 50


def test_while_the_store_hangs_answers_go_on_and_what_does_not_fit_is_counted(
    serving, store, seen, monkeypatch, caplog
):
    monkeypatch.setattr(exposure_log, "QUEUED", 5)
    client = serving()
    store.exposures.mode = "hangs"
    client.recommend(Shopper(user_id="u"))
    assert store.exposures.hanging.wait(SECONDS)

    started = time.monotonic()
    for n in range(9):
        client.recommend(Shopper(user_id=f"u{n}"))

    assert time.monotonic() - started < 5
    assert counts(client, "queue", 4) == 4
    (report,) = [m for m in caplog.messages if "exposures cannot be logged now" in m]
    assert report.endswith(": 5 exposures wait")
    store.exposures.gate.set()
    assert len(seen(6)) == 6


def test_a_store_that_fails_costs_exposures_alone_and_is_used_again(serving, store, seen, caplog):
    client = serving()
    store.exposures.mode = "fails"
    for _ in range(3):
        assert client.recommend(Shopper(user_id="u")).items
        counts(client, "store", 1)
    counts(client, "store", 3)

    store.exposures.mode = "works"
    client.recommend(Shopper(user_id="u"), Wishes(request_id="later"))

    assert [one.request_id for one in seen(1)] == ["later"]
    reports = [m for m in caplog.messages if "exposures cannot be logged now" in m]
    assert reports == ["exposures cannot be logged now: /secret/path: gone"]


def test_a_server_stops_although_the_store_hangs(serving, store, monkeypatch):
    monkeypatch.setattr(exposure_log, "STOP_SECONDS", 0.2)
    client = serving()
    store.exposures.mode = "hangs"
    client.recommend(Shopper(user_id="u"))
    assert store.exposures.hanging.wait(SECONDS)
    client.recommend(Shopper(user_id="v"))

    client.running.server._exposures.stop()

    assert counted(client, "dropped", reason="store") == 1
    store.exposures.gate.set()


def test_an_id_that_no_event_can_name_is_not_logged_but_answered(serving, seen, caplog):
    client = serving()
    bad = [
        (Shopper(user_id="u"), Wishes(request_id="x" * 100_000)),
        (Shopper(user_id=f"key1.{'0' * 8}:{'a' * 64}"), Wishes()),
        (Shopper(user_id="jane\0"), Wishes()),
    ]
    for shopper, wishes in bad:
        assert client.recommend(shopper, wishes).items

    counts(client, "rule", 3)
    assert seen(0) == []
    assert "jane" not in caplog.text
    assert "key1" not in caplog.text


def test_a_user_who_is_erased_while_exposures_wait_is_not_logged(serving, store, seen):
    client = serving()
    store.exposures.mode = "hangs"
    client.recommend(Shopper(user_id="v"), Wishes(request_id="first"))
    assert store.exposures.hanging.wait(SECONDS)
    client.recommend(Shopper(user_id="u"), Wishes(request_id="second"))
    client.recommend(Shopper(user_id="v"), Wishes(request_id="third"))

    client.privacy.erase("u")
    store.exposures.mode = "works"
    store.exposures.gate.set()

    assert {one.request_id for one in seen(2)} == {"first", "third"}
    assert counts(client, "erased", 1) == 1


def test_a_user_is_exported_and_erased_with_exposures(serving, seen):
    client = serving()
    client.feedback.record([Event(user_id="u", item_id="50", action="click", event_id="e")])
    for n in range(25):
        client.recommend(Shopper(user_id="u"), Wishes(request_id=f"{n}"))
    client.recommend(Shopper(user_id="v"))
    logged = [one for one in seen(26) if one.user_id == "u"]

    exported = list(client.privacy.export("u"))

    assert exported[0].event_id == "e"
    assert exported[1:] == logged
    assert client.privacy.erase("u") == Erased(events=1, interactions=0, exposures=25)
    assert list(client.privacy.export("u")) == []
    assert [one.user_id for one in seen(1)] == ["v"]


def test_the_client_is_named_and_its_withheld_scores_are_no_part_of_the_log(serving, clients, seen):
    clients.put("shop", ["read"])
    client = serving(tokens=clients.path, token="shop")

    answer = client.recommend(Shopper(user_id="u"))

    (shown,) = seen(1)
    assert (shown.client, shown.request_id) == ("shop", answer.request_id)


def test_a_sample_is_of_users_and_of_the_right_size():
    users = [f"u{n}" for n in range(20_000)]
    few = {user for user in users if is_sampled(user, 0.05)}
    many = {user for user in users if is_sampled(user, 0.5)}

    assert few < many
    assert abs(len(few) - 1_000) < 130  # four standard deviations
    assert abs(len(many) - 10_000) < 290
    assert not any(is_sampled(user, 0.0) for user in users)
    assert all(is_sampled(user, 1.0) for user in users)


def test_a_user_is_logged_always_or_never_and_a_stranger_by_the_request(serving, seen):
    client = serving(ExposuresConfig(rate=0.5))
    inside = next(f"u{n}" for n in range(99) if is_sampled(f"u{n}", 0.5))
    outside = next(f"u{n}" for n in range(99) if not is_sampled(f"u{n}", 0.5))

    for name in (inside, outside):
        for user_id in (inside, outside, None):
            client.recommend(Shopper(user_id=user_id), Wishes(request_id=name))
    client.running.drain().result(SECONDS)

    logged = {(one.user_id, one.request_id) for one in seen(0)}
    assert logged == {(inside, inside), (inside, outside), ("", inside)}


def exposures(times):
    return [
        Exposure(request_id=f"{n}", time=at, method="recommend", item_ids=("i",), scores=(1.0,))
        for n, at in enumerate(times)
    ]


def until(condition):
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_old_exposures_are_removed_when_the_server_starts_even_if_it_logs_none(
    store, serving, path
):
    now, day = int(time.time()), 86_400
    store.exposures.append(exposures([now - 3 * day, now - day, now]))

    serving(ExposuresConfig(rate=1.0, days=2.0))
    until(lambda: store.exposures.count() == 2)

    serving(ExposuresConfig(days=0.5), parts={"store": open_store(str(path))})
    until(lambda: store.exposures.count() == 1)


def test_the_number_of_exposures_stays_bounded_while_more_are_shown(store, serving, monkeypatch):
    monkeypatch.setattr(exposure_log, "BATCH", 5)
    client = serving(ExposuresConfig(rate=1.0, max_rows=20))

    for n in range(60):
        client.recommend(Shopper(user_id="u"), Wishes(request_id=f"{n}"))
    until(lambda: counted(client, "written") == 60)
    until(lambda: 20 <= store.exposures.count() < 20 + 5)

    assert [one.request_id for one in store.exposures.scan()][-1] == "59"


def test_a_clock_that_is_set_back_or_ahead_loses_no_exposure(store, serving, seen, monkeypatch):
    now = time.time()
    clock = SimpleNamespace(time=lambda: now - 10**6, monotonic=time.monotonic)
    client = serving()
    monkeypatch.setattr("serving.server.users.clock.time", clock)
    client.recommend(Shopper(user_id="u"), Wishes(request_id="back"))
    (shown,) = seen(1)
    assert abs(shown.time - now) < 60
    clock.time = lambda: now + 10**9

    log = client.running.server._exposures
    log._prune_at = 0.0
    until(lambda: log._prune_at > 0)

    assert [one.request_id for one in seen(1)] == ["back"]


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"rate": 1.5}, "rate must be within 0 and 1, got 1.5"),
        ({"rate": float("nan")}, "rate must be within 0 and 1, got nan"),
        ({"days": 0.0}, "days must be positive, got 0"),
        ({"days": float("inf")}, "days must be positive, got inf"),
        ({"max_rows": 0}, "max_rows must be at least 1, got 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(fields, rule):
    with pytest.raises(ValueError, match=f"^{rule}$"):
        ExposuresConfig(**fields)
