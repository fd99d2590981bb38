"""Two servers of one event store agree after a recount, also on items that were added since."""

from dataclasses import replace

import numpy as np
import pytest

from dataset.interaction_codes import HOUR
from events.open_store import open_store
from index.sales import Sales
from serving.live.live_engine import LiveEngine
from serving.replication.journal_log import JournalLog
from serving.replication.postgresql_log import PostgresqlLog
from shortlist_client.api.event import Event
from shortlist_client.api.item import Item
from shortlist_client.api.request import Shopper, Wishes

NOW = 1_800_000_000
AGO = NOW - 3 * HOUR
ACTIONS = ("buy", "purchase", "refund")
NEW = Item(item_id="new", title="red shirt shirt")


class Server:
    """An engine with its own connections to the log of changes and to the store of events."""

    def __init__(self, base, root, log, store):
        self.engine, self.store = LiveEngine(base, root, log), store

    @property
    def cascade(self):
        return self.engine.current.cascade

    def recount(self):
        return self.engine.recount(self.store, ACTIONS, stopped=lambda: False)

    def ids(self, *history, limit=12):
        answer = self.engine.current.recommend(Shopper(history=history), Wishes(limit=limit))
        return [item.item_id for item in answer.items]

    def all_ids(self):
        """Every item, best-selling first."""
        catalogue, now = self.cascade.catalogue, self.cascade.now
        return [catalogue.item_id(row) for row in catalogue.best_selling(300, now=now).tolist()]


@pytest.fixture
def clock():
    """The time of both servers, which a test may set."""
    return [NOW]


@pytest.fixture(params=["sqlite", "postgresql"])
def servers(request, base, root, tmp_path, clock):
    """Two servers at the same time; the first changes the items."""
    both, shared = [], request.param == "postgresql"
    address = request.getfixturevalue("postgres").empty() if shared else None
    at_once = replace(base, cascade=replace(base.cascade, wall=lambda: clock[0]))
    for _ in range(2):
        log = PostgresqlLog(address) if shared else JournalLog(tmp_path / "CHANGES")
        both.append(Server(at_once, root, log, open_store(address or str(tmp_path / "events"))))
    yield both
    for server in both:
        server.engine.close()
        server.store.close()


def acts(*rows, action="buy", at=AGO):
    """Events of user and item."""
    return [
        Event(
            event_id=f"{user} {item} {action} {at}",
            user_id=user,
            item_id=item,
            action=action,
            time=at,
        )
        for user, item in rows
    ]


def by_new_users(*items, users=12, **fields):
    return acts(*((f"new {n}", item) for n in range(users) for item in items), **fields)


def lists(server):
    """Neighbour lists by item id."""
    sources, known = server.cascade.retriever.sources, server.cascade.catalogue
    ids = [*known.data.item_ids, *server.cascade.counted]
    return [
        {
            item: [ids[row] for row in of.rows[of.starts[n] : of.starts[n + 1]]]
            for n, item in enumerate(ids)
            if n < len(of)
        }
        for of in (sources.neighbours, sources.next_items)
    ]


def test_both_count_the_same_from_the_next_hour_on_however_they_looked(servers, clock):
    first, second = servers
    first.engine.upsert([NEW, replace(NEW, item_id="newer")])
    second.engine.catch_up()
    first.store.append(by_new_users("i7", "new"))
    first.recount()
    second.store.append(by_new_users("newer", "i9", "gone", users=14, at=AGO + 60))
    second.recount()
    first.engine.upsert([replace(NEW, title="red shirt mug")])  # another row of the first server
    first.store.append(acts(("new 0", "i7"), ("new 1", "new"), action="refund", at=AGO + 90))
    second.engine.catch_up()
    clock[0] += HOUR

    for server in servers:
        server.recount()

    ours, theirs = first.cascade, second.cascade
    assert ours.now == theirs.now == NOW + HOUR
    assert ours.counted == theirs.counted == ("new", "newer", "gone")
    mine, other = ours.features.demand, theirs.features.demand
    np.testing.assert_array_equal(mine.added, other.added)
    np.testing.assert_array_equal(mine.taken.keys, other.taken.keys)
    assert lists(first) == lists(second)
    assert first.all_ids() == second.all_ids()
    assert first.ids(limit=4) == ["i9", "newer", "i7", "new"]
    assert first.ids("i7") == second.ids("i7")


def test_an_item_that_was_added_and_sells_gets_counts_and_neighbours(servers):
    server = servers[0]
    server.engine.upsert([NEW])
    server.store.append(by_new_users("new", "i3") + by_new_users("new", users=3, at=AGO - HOUR))

    done = server.recount()

    catalogue, sources = server.cascade.catalogue, server.cascade.retriever.sources
    row = np.array([catalogue.row("new")])
    assert (done.events, done.counted) == (27, 24)  # three of them bought it twice that day
    assert catalogue.purchases(row, server.cascade.now).tolist() == [12]
    assert server.ids(limit=2) == ["i3", "new"]
    assert lists(server)[0]["i3"][0] == "new"
    assert lists(server)[0]["new"] == ["i3"]
    alone = sources.score_items(
        np.zeros(sources.index.dimension, np.float32), np.array([3], np.int32), row
    )
    assert alone.neighbour_scores[0] > 0
    assert "new" not in server.ids("new", "i3")


def test_a_new_item_keeps_its_counts_when_it_changes_and_loses_them_when_it_goes(servers):
    server = servers[0]
    server.engine.upsert([NEW])
    server.store.append(by_new_users("new"))
    server.recount()
    server.engine.upsert([replace(NEW, title="red shirt mug"), replace(NEW, item_id="unsold")])

    assert server.ids(limit=1) == ["new"]
    assert server.all_ids()[-1] == "unsold"
    assert len(server.all_ids()) == 242

    server.engine.delete(["new"])
    assert "new" not in server.all_ids()
    assert server.recount().events == 0


def test_events_that_came_before_their_item_count_once_it_is_there(servers):
    server = servers[0]
    server.store.append(by_new_users("new", "i3"))
    assert server.recount().events == 12
    assert server.cascade.counted == ("new",)
    server.engine.upsert([NEW])
    assert server.all_ids()[-1] == "new"

    assert server.recount().events == 24

    assert lists(server)[0]["i3"][0] == "new"
    assert server.ids(limit=2) == ["i3", "new"]


def test_a_recorded_refund_takes_a_purchase_back(servers):
    server = servers[0]
    server.store.append(by_new_users("i7", users=15) + by_new_users("i8", users=14))
    server.recount()
    assert server.ids(limit=1) == ["i7"]

    gone = [(f"new {n}", "i7") for n in range(5)]
    server.store.append(acts(*gone, action="refund", at=AGO + 60))
    server.recount()

    assert server.ids(limit=1) == ["i8"]
    assert server.cascade.catalogue.purchases(np.array([7]), server.cascade.now).tolist() == [10]
    assert server.cascade.catalogue.purchases(np.array([7]), AGO + 60).tolist() == [15]


def test_a_shop_that_sold_nothing_answers_with_the_newest_items(base, root, shop):
    """Those that were added since the release come first, until something is sold."""
    unsold = Sales(popularity=np.zeros(len(shop.item_ids)), added=np.arange(len(shop.item_ids)))
    catalogue = replace(base.cascade.catalogue, sales=unsold)
    engine = LiveEngine(replace(base, cascade=replace(base.cascade, catalogue=catalogue)), root)

    def ids():
        answer = engine.current.recommend(Shopper(), Wishes(limit=3))
        return [item.item_id for item in answer.items]

    assert ids() == ["i239", "i238", "i237"]
    engine.upsert([NEW])
    assert ids() == ["new", "i239", "i238"]
    engine.delete(["i239"])
    assert ids() == ["new", "i238", "i237"]
    engine.close()
