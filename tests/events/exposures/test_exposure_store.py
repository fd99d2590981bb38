"""The contract of exposure stores; each test runs with every kind."""

import math
import threading

import pytest

from events.event_store import StoreError
from events.exposures.exposure_store import BATCH, PRUNED
from events.open_store import open_store


def names(exposures):
    return [exposure.request_id for exposure in exposures]


def test_a_scan_returns_exposures_as_they_were_appended(store, shown):
    appended = [
        shown("a"),
        shown(
            "b",
            client="shop",
            user_id="Zoë 日本",
            placement="basket/below",
            method="similar",
            release="r-1",
            experiment="e",
            arm="b",
            policy="p",
            item_ids=('quo"te', "日" * 256, "\U0001f3ae"),
            scores=(1e300, -math.inf, 0.1),
            propensities=(1.0, 1e-9, 0.5),
        ),
        shown("x" * 256, user_id="", time=2**40),
    ]

    assert store.exposures.append(appended) == 3
    assert list(store.exposures.scan()) == appended
    assert store.exposures.count() == 3
    assert store.exposures.append([]) == 0


def test_a_scan_is_in_the_order_of_time_and_keeps_to_its_range(store, shown):
    times = [5, 3, 9, 3, 7]
    store.exposures.append([shown(f"{n}", time=time) for n, time in enumerate(times)])

    assert names(store.exposures.scan()) == ["1", "3", "0", "4", "2"]
    assert names(store.exposures.scan(since=3, until=9)) == ["1", "3", "0", "4"]
    assert names(store.exposures.scan(since=4)) == ["0", "4", "2"]
    assert names(store.exposures.scan(until=3)) == []


def test_batches_of_a_scan_meet_without_a_gap_within_one_second(store, shown):
    many = [shown(f"{n}", time=n // BATCH) for n in range(2 * BATCH + 7)]
    store.exposures.append(many)

    assert names(store.exposures.scan()) == names(many)
    assert names(store.exposures.of_user("u")) == names(many)
    assert names(store.exposures.of_user("v")) == []


def test_the_oldest_are_pruned_by_time_and_by_number(store, shown):
    times = [5, 3, 9, 3, 7, 6]
    store.exposures.append([shown(f"{n}", time=time) for n, time in enumerate(times)])

    assert store.exposures.prune(before=3, rows=6) == 0
    assert store.exposures.prune(before=5, rows=6) == 2
    assert names(store.exposures.scan()) == ["0", "5", "4", "2"]
    assert store.exposures.prune(before=0, rows=2) == 2
    assert names(store.exposures.scan()) == ["4", "2"]
    assert store.exposures.prune(before=8, rows=1) == 1
    assert store.exposures.prune(before=8, rows=1) == 0
    assert names(store.exposures.scan()) == ["2"]


def test_pruning_takes_bounded_steps_until_nothing_is_left_to_do(store, shown):
    store.exposures.append([shown(f"{n}", time=n) for n in range(PRUNED + 5)])

    steps = [store.exposures.prune(before=0, rows=3) for _ in range(3)]

    assert steps == [PRUNED, 2, 0]
    assert names(store.exposures.scan()) == [f"{n}" for n in range(PRUNED + 2, PRUNED + 5)]


def test_an_erasure_removes_events_and_exposures_of_the_user_alone(store, event, shown):
    store.append([event("a"), event("b", user_id="v")])
    store.exposures.append(
        [shown("a"), shown("b", user_id="v"), shown("c"), shown("d", user_id="")]
    )

    assert store.erase(["u"], digest="d", at=100) == (1, 2)

    assert names(store.exposures.scan()) == ["b", "d"]
    assert store.erase([], digest="d", at=101) == (0, 0)
    assert store.exposures.count() == 2


def test_what_was_shown_before_an_erasure_is_not_stored_after_it(store, shown):
    store.erase(["u"], digest="du", at=100)
    waiting = [shown("a"), shown("b", user_id="v"), shown("c", time=101), shown("d", time=99)]

    assert store.exposures.append(waiting, digests=[["du"], ["dv"], ["du"], ["x", "du"]]) == 2
    assert names(store.exposures.scan()) == ["b", "c"]


def test_no_exposure_of_an_erased_user_survives_writers_at_work(opened, shown):
    writer, eraser = opened(), opened()
    stop, stored, failures = threading.Event(), [0], []

    def write():
        try:
            while not stop.is_set():
                stored[0] += writer.exposures.append([shown("a", time=50)], digests=[["du"]])
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    while not stored[0] and thread.is_alive():
        pass
    eraser.erase(["u"], digest="du", at=60)
    stop.set()
    thread.join(20)

    assert not failures
    assert list(eraser.exposures.of_user("u")) == []


def test_users_are_those_of_events_and_of_exposures(store, event, shown):
    store.append([event("a", user_id="c"), event("b", user_id="a")])
    store.exposures.append(
        [shown(n, user_id=n) for n in ("b", "c", "d")] + [shown("e", user_id="")]
    )

    assert store.users() == ["a", "b", "c", "d"]
    assert store.users(after="b") == ["c", "d"]


def test_users_come_in_batches_that_miss_none(store, event, monkeypatch, shown):
    for module in ("events.sqlite", "events.postgresql"):
        monkeypatch.setattr(f"{module}.BATCH", 2)
    store.append([event(name, user_id=name) for name in "eca"])
    store.exposures.append([shown(name, user_id=name) for name in "fdb"])

    found, last = [], ""
    while users := store.users(after=last):
        last = users[-1]
        found += users

    assert found == list("abcdef")


def test_a_rename_covers_events_exposures_and_erasures(store, event, shown):
    store.append([event("a")])
    store.exposures.append([shown("a"), shown("b", user_id="v")])
    store.erase(["x"], digest="u", at=5)

    assert store.rename({"u": "new"}) == 2

    assert [stored.user_id for stored in store.scan()] == ["new"]
    assert [one.user_id for one in store.exposures.scan()] == ["new", "v"]
    assert [erasure.digest for erasure in store.erasures()] == ["new"]


def test_exposures_do_not_count_as_events(store, event, shown):
    store.exposures.append([shown("a")])

    assert store.count() == 0
    assert list(store.scan()) == []
    assert store.prune(10**9) == 0
    assert store.exposures.count() == 1


def test_two_servers_write_into_one_store_and_lose_nothing(opened, shown):
    stores = opened(), opened()

    def write(store, name):
        for n in range(20):
            store.exposures.append([shown(f"{name}{n}"), shown(f"{name}{n}", time=n)])

    threads = [threading.Thread(target=write, args=pair) for pair in zip(stores, "ab", strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert stores[0].exposures.count() == 80
    assert len(set(names(stores[1].exposures.scan()))) == 40


def test_two_servers_prune_at_once_and_keep_what_may_stay(opened, shown):
    stores = opened(), opened()
    stores[0].exposures.append([shown(f"{n}", time=n) for n in range(3 * PRUNED)])

    def prune(store):
        while store.exposures.prune(before=0, rows=10):
            pass

    threads = [threading.Thread(target=prune, args=[store]) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert names(stores[0].exposures.scan()) == [f"{n}" for n in range(3 * PRUNED - 10, 3 * PRUNED)]


def test_a_closed_store_refuses(address, shown):
    store = open_store(address)
    store.close()

    for call in (
        lambda: store.exposures.append([shown("a")]),
        lambda: list(store.exposures.scan()),
        lambda: store.exposures.prune(before=1, rows=1),
    ):
        with pytest.raises(StoreError):
            call()
