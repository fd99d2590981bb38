"""Counts, best sellers and neighbours that move with recorded events."""

import time
from dataclasses import replace

import numpy as np
import pytest

from dataset.interaction_codes import HOUR
from dataset.later_events import LaterEvents, with_later
from events.event_store import StoreError
from events.open_store import open_store
from events.privacy.erased_users import ErasedUsers
from events.privacy.erasure import erase_user
from events.privacy.key_file import KeyFile, add_key
from events.privacy.keyed_store import KeyedStore
from index.pair_lists import Purchases, pair_lists
from serving.live.event_counts import EventCounts
from serving.live.event_reader import EventReader
from serving.live.live_engine import LiveEngine
from shortlist_client.api.event import Event
from shortlist_client.api.item import Item
from shortlist_client.api.request import Shopper, Wishes

NOW = 1_800_000_000
AGO = NOW - 3 * HOUR
ACTIONS = ("purchase", "buy", "view")


@pytest.fixture
def store(tmp_path):
    store = open_store(str(tmp_path / "events.sqlite"))
    yield store
    store.close()


@pytest.fixture
def opened(base, root):
    """Opens a live engine at the same time, as another server would."""
    engines = []

    def opened():
        cascade = replace(base.cascade, wall=lambda: NOW)
        engines.append(LiveEngine(replace(base, cascade=cascade), root))
        return engines[-1]

    yield opened
    for engine in engines:
        engine.close()


@pytest.fixture
def live(opened):
    return opened()


def bought(*rows, at=AGO, action="purchase"):
    """Events of user and item."""
    return [
        Event(
            event_id=f"{user} {item} {action} {at} {place}",
            user_id=user,
            item_id=item,
            action=action,
            time=at,
        )
        for place, (user, item) in enumerate(rows)
    ]


def many(*items, users=12, **fields):
    """Each of several new users bought each item."""
    return bought(*((f"new {n}", item) for n in range(users) for item in items), **fields)


def recount(engine, store, actions=ACTIONS):
    return engine.recount(store, actions, stopped=lambda: False)


def best(engine):
    item = engine.current.recommend(Shopper(), Wishes(limit=1)).items[0]
    return item.item_id, item.score


def neighbours(engine, row):
    lists = engine.current.cascade.retriever.sources.neighbours
    return lists.rows[lists.starts[row] : lists.starts[row + 1]].tolist()


def test_an_item_that_many_users_buy_becomes_a_best_seller(live, store):
    before, old = best(live), live.current
    store.append(many("i7"))

    done = recount(live, store)

    assert (done.read, done.events, done.counted) == (12, 12, 12)
    assert best(live) == ("i7", 12) != before
    assert old.cascade.now < AGO < live.current.cascade.now == done.as_of == NOW - NOW % HOUR
    assert old.version_token != live.current.version_token


def test_one_user_can_neither_move_now_nor_lift_an_item(live, store):
    before, now = best(live), live.current.cascade.now
    store.append([one for n in range(99) for one in bought(("u1", "i9"), at=AGO - 60 * n)])
    recount(live, store)
    assert (best(live), live.current.cascade.now) == (before, now)

    store.append(many("i7"))
    recount(live, store)

    assert best(live) == ("i7", 12)
    assert live.current.cascade.catalogue.purchases(np.array([9]), NOW)[0] == 1


def test_views_beside_purchases_unknown_items_and_what_the_release_contains_do_not_count(
    live, store, shop
):
    end = int(shop.times.max()) // 1_000_000
    store.append(many("i7", at=end) + many("gone") + many("i8", action="impression"))

    done = recount(live, store)

    assert (done.events, done.counted) == (0, 0)


def test_a_round_without_news_changes_nothing(live, store):
    assert recount(live, store).read == 0
    first = live.current
    store.append(many("i7"))
    recount(live, store)
    counted = live.current

    assert recount(live, store).read == 0
    assert live.current is counted is not first


def test_what_is_bought_together_becomes_neighbours(live, store):
    assert 230 not in neighbours(live, 3)
    store.append(many("i3", "i230"))

    done = recount(live, store)

    assert neighbours(live, 3)[0] == 230
    assert neighbours(live, 230)[0] == 3
    sources = live.current.cascade.retriever.sources
    assert live.current.cascade.features.sources is sources
    assert done.pairs == len(sources.neighbours.rows)


def test_lists_are_those_of_the_releases_data_and_the_events(live, store):
    """Known users go on with their history; purchases of the running hour do not count yet."""
    released = live.current.cascade
    random = np.random.default_rng(0)
    users, items = random.integers(190, 230, 300), random.integers(240, size=300)
    times = np.sort(random.integers(AGO, AGO + HOUR, 300))
    for user, item, at in zip(users.tolist(), items.tolist(), times.tolist(), strict=True):
        store.append(bought((f"u{user}", f"i{item}"), at=at, action="buy"))
    store.append(many("i3", "i230", at=NOW, action="buy"))

    recount(live, store)

    rows = {user: 200 + n for n, user in enumerate(dict.fromkeys(users[users >= 200].tolist()))}
    later = LaterEvents(
        users=np.array([rows.get(user, user) for user in users.tolist()]),
        items=items.astype(np.int32),
        actions=np.ones(300, np.int32),
        times=times,
    )
    whole = with_later(released.catalogue.data, later)
    expected = pair_lists(released.retriever.sources.config, whole, Purchases.of(whole))
    sources = live.current.cascade.retriever.sources
    for made, wanted in zip((sources.neighbours, sources.next_items), expected, strict=True):
        for part in ("starts", "rows", "weights"):
            np.testing.assert_array_equal(getattr(made, part), getattr(wanted, part))


def test_a_release_that_is_too_large_keeps_its_lists_and_says_so_once(
    live, store, monkeypatch, caplog
):
    monkeypatch.setattr("serving.live.event_counts.MOST_ROWS", 100)
    before = live.current.cascade.retriever.sources.neighbours
    store.append(many("i3", "i230"))
    recount(live, store)
    store.append(many("i4", "i230"))
    recount(live, store)

    assert live.current.cascade.retriever.sources.neighbours is before
    assert best(live)[1] == 12
    assert caplog.text.count("neighbours stay those of the release") == 1


def test_servers_of_one_store_agree_whenever_they_looked(opened, store):
    often, once = opened(), opened()
    for item in ("i3", "i230", "i5"):
        store.append(many(item) + bought(("u1", item)))
        recount(often, store)
    recount(once, store)

    ours, theirs = often.current.cascade, once.current.cascade
    np.testing.assert_array_equal(ours.features.demand.added, theirs.features.demand.added)
    assert ours.now == theirs.now
    order = ours.catalogue.sales.best_first(ours.now)
    np.testing.assert_array_equal(order, theirs.catalogue.sales.best_first(theirs.now))


def test_item_changes_keep_the_counts_and_counts_keep_the_items(live, store):
    live.upsert([Item(item_id="new", title="red shirt shirt")])
    store.append(many("i7"))
    recount(live, store)
    assert best(live) == ("i7", 12)
    assert live.find("new") is not None

    live.delete(["i7"])
    assert best(live)[0] != "i7"
    store.append(many("i8", at=AGO + 1))
    recount(live, store)

    assert best(live) == ("i8", 12)
    assert live.find("i7") is None


def test_erased_users_count_no_more(live, store, tmp_path):
    store.append(many("i7", users=15) + many("i8", users=14))
    recount(live, store)
    assert best(live) == ("i7", 15)

    for n in range(4):
        erase_user(store, ErasedUsers(tmp_path / "ERASED"), f"new {n}", at=NOW)
    store.append(bought(("other", "i8")))
    recount(live, store)

    assert best(live)[1] == 11
    assert live.current.cascade.catalogue.purchases(np.array([7, 8]), NOW).tolist() == [11, 11]


def test_keyed_users_are_counted_once_each(live, store, tmp_path):
    add_key(tmp_path / "users.key")
    keyed = KeyedStore(store, KeyFile(tmp_path / "users.key"))
    keyed.append(many("i7") + many("i7", at=AGO + 9))

    recount(live, keyed)

    assert best(live) == ("i7", 12)


def test_a_store_that_fails_keeps_the_counts(live, store, monkeypatch):
    store.append(many("i7"))
    recount(live, store)

    store.close()
    with pytest.raises(StoreError):
        recount(live, store)

    assert best(live) == ("i7", 12)


def test_a_round_that_is_stopped_changes_nothing(live, store):
    store.append(many("i7"))
    before = live.current

    live.recount(store, ACTIONS, stopped=lambda: True)
    assert live.current is before

    recount(live, store)
    assert best(live) == ("i7", 12)


def test_a_release_without_times_cannot_be_recounted(live):
    cascade = live.current.cascade
    untimed = replace(cascade, features=replace(cascade.features, demand=None))

    assert EventCounts.of(untimed, ACTIONS) is None


class Listed:
    """A store of listed rows; a transaction that commits late puts one in between."""

    def __init__(self, *rows):
        self.rows, self.asked = list(rows), []

    def since(self, sequence, actions, *, later_than):
        self.asked.append(sequence)
        if rows := sorted(row for row in self.rows if row[0] > sequence):
            yield rows

    def erasures(self, after=0):
        return []


def read(reader, store):
    return reader.read(store, lambda: False)


@pytest.fixture
def reader(base):
    return EventReader(base.cascade.catalogue, {"purchase": 1}, 0)


def row(sequence, item="i1", user="new"):
    return sequence, user, item, "purchase", AGO


def test_an_event_that_was_recorded_late_is_read_once(reader):
    store = Listed(row(1), row(3, "i3"))
    assert read(reader, store) == 2
    store.rows.append(row(2, "i2"))

    assert read(reader, store) == 1
    assert read(reader, store) == 0
    assert reader.events.items.tolist() == [1, 2, 3]


def test_what_is_settled_is_not_read_again(reader, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    store = Listed(row(1), row(2))
    read(reader, store)
    for sequence in (3, 4, 5):
        clock[0] += 600
        store.rows.append(row(sequence, f"i{sequence}"))
        assert read(reader, store) == 1

    assert store.asked == [0, 1, 2, 3]
    assert reader.events.items.tolist() == [1, 1, 3, 4, 5]


def test_a_store_that_came_back_from_a_copy_is_read_anew(reader, monkeypatch):
    monkeypatch.setattr("serving.live.event_reader.SETTLED_SECONDS", -1.0)
    store = Listed(row(1), row(2, "i2"))
    read(reader, store)

    store.rows = [row(1), row(2, "i5"), row(3, "i6")]
    read(reader, store)

    assert reader.events.items.tolist() == [1, 5, 6]
