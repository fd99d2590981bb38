"""The contract of event stores; each test runs with every kind."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from events.event import Outcome
from events.event_store import StoreError
from events.open_store import open_store
from shortlist_client.api.event import Event

RECORDED, REPEATED, CONFLICT = Outcome.RECORDED, Outcome.REPEATED, Outcome.CONFLICT
ACTIONS = ("purchase",)


def names(events):
    return [event.event_id for event in events]


def test_a_scan_returns_events_as_they_were_appended(store, event):
    events = [
        event("a", request_id="r", position=3),
        event("b", user_id="Zoë 日本", item_id="x" * 256, action="view", time=0),
        event("c", time=2**40),
    ]

    assert store.append(events) == [RECORDED] * 3
    assert list(store.scan()) == events


def test_an_empty_append_and_an_empty_store_work(store):
    assert store.append([]) == []
    assert list(store.scan()) == []
    assert store.history("u", ACTIONS, 10) == []


def test_appended_events_are_visible_to_another_connection_at_once(opened, event):
    writer, reader = opened(), opened()
    for n in range(5):
        writer.append([event(str(n), time=n)])
        assert names(reader.history("u", ACTIONS, 10)) == [str(m) for m in range(n + 1)]


def test_a_repeated_event_counts_once(store, event):
    assert store.append([event("a"), event("b")]) == [RECORDED, RECORDED]
    assert store.append([event("c"), event("a"), event("b")]) == [RECORDED, REPEATED, REPEATED]
    assert names(store.scan()) == ["a", "b", "c"]


def test_an_event_that_is_twice_in_one_append_counts_once(store, event):
    store.append([event("old")])

    outcomes = store.append([event("a"), event("a"), event("old"), event("a", item_id="j")])

    assert outcomes == [RECORDED, REPEATED, REPEATED, CONFLICT]
    assert list(store.scan()) == [event("old"), event("a")]


@pytest.mark.parametrize(
    "other",
    [{"user_id": "v"}, {"item_id": "j"}, {"action": "view"}, {"request_id": "r"}, {"position": 2}],
)
def test_another_event_under_a_known_id_is_a_conflict_and_changes_nothing(store, event, other):
    store.append([event("a")])

    assert store.append([event("a", **other), event("b")]) == [CONFLICT, RECORDED]
    assert list(store.scan()) == [event("a"), event("b")]


def test_a_repetition_may_have_another_time(store, event):
    store.append([event("a", time=100)])

    assert store.append([event("a", time=160)]) == [REPEATED]
    assert [stored.time for stored in store.scan()] == [100]


def test_a_history_holds_only_the_users_events_of_the_given_actions(store, event):
    store.append(
        [
            event("a", time=1),
            event("b", time=2, action="click"),
            event("c", time=3, user_id="u2"),
            event("d", time=4, action="view"),
            event("e", time=5, action="Purchase"),
        ]
    )

    assert names(store.history("u", ["purchase", "view"], 10)) == ["a", "d"]
    assert store.history("u", [], 10) == []
    assert store.history("nobody", ACTIONS, 10) == []


def test_a_history_is_ordered_by_time_and_within_a_second_by_recording(store, event):
    times = {"a": 5, "b": 3, "c": 5, "d": 1, "e": 3}
    for name, time in times.items():
        action = "view" if name in "cd" else "purchase"
        store.append([event(name, time=time, action=action)])

    assert names(store.history("u", ["purchase", "view"], 10)) == ["d", "b", "e", "a", "c"]
    assert names(store.history("u", ["view", "purchase"], 3)) == ["e", "a", "c"]


def test_a_batch_keeps_its_order(store, event):
    ids = [f"{n:03}" for n in range(500)]
    random.Random(0).shuffle(ids)

    store.append([event(name) for name in ids])

    assert names(store.history("u", ACTIONS, 1000)) == ids
    assert names(store.scan()) == ids


def test_a_scan_of_several_batches_returns_every_event_once(store, event, monkeypatch):
    for module in ("events.sqlite", "events.postgresql"):
        monkeypatch.setattr(f"{module}.BATCH", 7)
    store.append([event(str(n)) for n in range(30)])

    assert names(store.scan()) == [str(n) for n in range(30)]


def test_what_is_new_since_a_place_is_read_in_batches_by_action_and_time(store, event, monkeypatch):
    for module in ("events.sqlite", "events.postgresql"):
        monkeypatch.setattr(f"{module}.BATCH", 2)
    times = {"a": 5, "b": 3, "c": 9, "d": 7, "e": 8}
    store.append([event(name, time=time, item_id=name) for name, time in times.items()])
    store.append([event("f", time=9, action="view"), event("g", time=9, action="click")])

    def since(place, actions=("purchase", "view")):
        batches = list(store.since(place, actions, later_than=3))
        assert all(1 <= len(batch) <= 2 for batch in batches)
        return [row for batch in batches for row in batch]

    rows = since(0)
    assert [row[2] for row in rows] == ["a", "c", "d", "e", "i"]
    assert [row[1:] for row in rows[:2]] == [("u", "a", "purchase", 5), ("u", "c", "purchase", 9)]
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert since(rows[2][0]) == rows[3:]
    assert since(rows[-1][0]) == since(0, actions=()) == []


def test_events_are_counted_once_each(store, event):
    assert store.count() == 0
    store.append([event("a"), event("b"), event("a")])
    store.append([event("b"), event("c", user_id="other")])

    assert store.count() == 3


def test_pruning_removes_only_older_events(store, event, monkeypatch):
    for module in ("events.sqlite", "events.postgresql"):
        monkeypatch.setattr(f"{module}.BATCH", 4)
    times = {f"e{n:02}": n * 7 % 30 for n in range(30)}
    store.append([event(name, time=time) for name, time in times.items()])

    assert store.prune(12) == 12
    assert store.prune(12) == 0

    left = [name for name, time in times.items() if time >= 12]
    assert names(store.scan()) == left
    assert store.count() == len(left)
    assert set(names(store.history("u", ACTIONS, 100))) == set(left)


def test_pruned_events_may_be_recorded_again(store, event):
    store.append([event("a", time=1), event("b", time=9)])
    assert store.prune(5) == 1

    assert store.append([event("a", time=8, item_id="other"), event("b")]) == [RECORDED, REPEATED]
    assert store.prune(100) == 2
    assert store.prune(100) == store.count() == 0
    assert store.append([event("c")]) == [RECORDED]


def test_pruning_during_appends_loses_no_new_event(opened, event):
    old, new = opened(), opened()
    old.append([event(f"o{n}", time=1) for n in range(300)])

    with ThreadPoolExecutor(2) as pool:
        pruning = pool.submit(lambda: sum(old.prune(50) for _ in range(10)))
        for n in range(100):
            new.append([event(f"n{n}")])
        assert pruning.result() == 300

    assert names(new.scan()) == [f"n{n}" for n in range(100)]


def test_random_appends_agree_with_a_dictionary(store):
    chosen, stored = random.Random(1), {}
    for _ in range(60):
        events = [
            Event(
                event_id=f"e{chosen.randrange(150)}",
                user_id=f"u{chosen.randrange(3)}",
                item_id=f"i{chosen.randrange(2)}",
                action=chosen.choice(["purchase", "view"]),
                time=chosen.randrange(20),
            )
            for _ in range(chosen.randrange(6))
        ]
        expected = []
        for given in events:
            known = stored.setdefault(given.event_id, given)
            again = REPEATED if given.is_again(known) else CONFLICT
            expected.append(RECORDED if known is given else again)
        assert store.append(events) == expected
    assert list(store.scan()) == list(stored.values())
    for user in ("u0", "u1", "u2"):
        mine = [e for e in stored.values() if e.user_id == user and e.action == "purchase"]
        mine.sort(key=lambda e: e.time)
        assert names(store.history(user, ACTIONS, 5)) == names(mine[-5:])


def test_many_threads_append_the_same_events_and_each_counts_once(opened, event):
    stores = [opened(), opened()]
    start = threading.Barrier(6)

    def append(worker):
        start.wait()
        outcomes = []
        for n in range(20):
            batch = [event(f"{n}-{m}") for m in range(3)]
            outcomes += stores[worker % 2].append(batch)
        return outcomes

    with ThreadPoolExecutor(6) as pool:
        outcomes = [one for done in pool.map(append, range(6)) for one in done]

    assert len(names(stores[0].scan())) == 60
    assert outcomes.count(RECORDED) == 60
    assert outcomes.count(REPEATED) == 300


def test_several_threads_may_open_an_empty_store_at_once(address):
    start = threading.Barrier(4)

    def opening(_):
        start.wait()
        return open_store(address)

    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(opening, range(4)))
    for store in stores:
        assert list(store.scan()) == []
        store.close()


def test_a_failed_append_stores_nothing(store, event):
    with pytest.raises(StoreError):
        store.append([event("a"), event("b", position=2**40), event("c", time=2**80)])

    assert list(store.scan()) == []
    assert store.append([event("a")]) == [RECORDED]


def test_a_closed_store_raises(store, event):
    store.append([event("a")])
    store.close()

    with pytest.raises(StoreError):
        store.append([event("b")])
    with pytest.raises(StoreError):
        store.history("u", ACTIONS, 3)


def test_event_ids_of_two_clients_never_meet(store, event):
    assert store.append([event("a")], clients=["shop"]) == [RECORDED]

    assert store.append([event("a")], clients=["app"]) == [RECORDED]
    assert store.append([event("a", item_id="j")], clients=["kiosk"]) == [RECORDED]
    assert store.append([event("a"), event("a", item_id="j")], clients=["shop"] * 2) == [
        REPEATED,
        CONFLICT,
    ]
    assert names(store.scan()) == ["a", "a", "a"]


def test_one_append_may_hold_events_of_several_clients(store, event):
    store.append([event("b")], clients=["app"])

    outcomes = store.append(
        [event("a"), event("a"), event("a"), event("b"), event("b", item_id="j")],
        clients=["shop", "app", "shop", "app", "app"],
    )

    assert outcomes == [RECORDED, RECORDED, REPEATED, REPEATED, CONFLICT]
    assert names(store.scan()) == ["b", "a", "a"]


def test_an_export_holds_all_events_of_one_user_with_all_fields(store, event, monkeypatch):
    for module in ("events.sqlite", "events.postgresql"):
        monkeypatch.setattr(f"{module}.BATCH", 2)
    mine = [
        event("a", request_id="r", position=3),
        event("b", action="view", time=0),
        event("c", item_id="日本"),
    ]
    store.append([mine[0], event("x", user_id="v"), mine[1]], clients=["shop", "app", "app"])
    store.append([event("y", user_id="u2"), mine[2]])

    assert list(store.export("u")) == mine
    assert list(store.export("nobody")) == []


def test_an_erased_user_has_no_events_and_others_keep_theirs(store, event):
    store.append([event("a"), event("b", user_id="v"), event("c", action="view")])

    assert store.erase(["u"], digest="d1", at=500) == (2, 0)

    assert store.history("u", ["purchase", "view"], 9) == list(store.export("u")) == []
    assert names(store.scan()) == ["b"]
    assert store.erase(["u"], digest="d1", at=501) == (0, 0)


def test_an_erased_user_starts_anew(store, event):
    store.append([event("a")])
    store.erase(["u"], digest="d", at=500)

    assert store.append([event("a"), event("b", time=600)]) == [RECORDED, RECORDED]
    assert names(store.history("u", ACTIONS, 9)) == ["a", "b"]


def test_erasures_are_remembered_in_order_and_reach_other_connections(opened, event):
    one, other = opened(), opened()
    assert list(other.erasures()) == []

    one.erase(["u"], digest="d1", at=5)
    one.erase(["v", "w"], digest="d2", at=6)

    found = other.erasures()
    assert [(e.digest, e.time) for e in found] == [("d1", 5), ("d2", 6)]
    assert [e.digest for e in other.erasures(after=found[0].sequence)] == ["d2"]
    assert list(other.erasures(after=found[1].sequence)) == []


def test_renamed_users_keep_their_events_and_erasures(store, event):
    store.append([event("a"), event("b", user_id="v"), event("c")])
    store.erase(["v"], digest="v", at=5)

    assert store.rename({"u": "h(u)", "v": "h(v)", "nobody": "h(nobody)"}) == 2

    assert names(store.history("h(u)", ACTIONS, 9)) == ["a", "c"]
    assert [e.digest for e in store.erasures()] == ["h(v)"]
    assert store.append([event("a", user_id="h(u)")]) == [REPEATED]


def test_users_are_listed_once_each_in_parts(store, event, monkeypatch):
    for module in ("events.sqlite", "events.postgresql"):
        monkeypatch.setattr(f"{module}.BATCH", 2)
    ids = ["b", "a", "Z", "日本", "é", "a"]
    store.append([event(str(n), user_id=user_id) for n, user_id in enumerate(ids)])

    listed, part = [], store.users()
    while part:
        listed += part
        part = store.users(after=part[-1])

    assert listed == sorted(set(ids))
