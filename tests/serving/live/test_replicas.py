"""Several servers over one log of item changes: two engines in one process, each with its log."""

import random
import threading
import time

import numpy as np
import pytest

from lineage.journal import JournalHeldError
from serving.api.errors import UnknownItemError
from serving.api.limits import Limits
from serving.engine.engine import Engine, EngineConfig
from serving.live.live_engine import LiveEngine
from serving.replication.postgresql_log import PostgresqlLog
from serving.replication.protocol import LogUnavailableError
from shortlist_client.api.item import Item
from shortlist_client.api.request import Shopper, Wishes

SECONDS = 20


@pytest.fixture
def replica(base, root, opened_log):
    """Starts another server over the same log."""
    started = []

    def replica():
        started.append(LiveEngine(base, root, opened_log()))
        return started[-1]

    yield replica
    for engine in started:
        engine.close()


@pytest.fixture
def shared(base, root, postgres):
    """Starts another server over the same table."""
    started, address = [], postgres.empty()

    def replica(base=base, root=root):
        started.append(LiveEngine(base, root, PostgresqlLog(address)))
        return started[-1]

    yield replica
    for engine in started:
        engine.close()


def item(item_id, title="red shirt"):
    return Item(item_id=item_id, title=title)


def titles(engine):
    """Title of every item, by id."""
    catalogue = engine.current.cascade.catalogue
    index = engine._items.state.items.index
    rows = np.arange(len(index))
    rows = rows[index.alive(rows)].tolist()
    return {catalogue.item_id(row): catalogue.title(row) for row in rows}


def found(engine, search="red shirt"):
    answer = engine.current.recommend(Shopper(search=search), Wishes(limit=12))
    return [(item.item_id, item.title, item.score) for item in answer.items]


SCORED = 1e-3
"""Difference of a score by rounding"""


def require_the_same(one, other):
    """Each replica encodes in batches of its own, so the last digits of scores differ.

    Items whose scores differ by less may change places, and one of them may be the last.
    """
    scores, of_other = ([score for *_, score in found] for found in (one, other))
    np.testing.assert_allclose(scores, of_other, atol=SCORED)
    known = {(item_id, title): score for item_id, title, score in other}
    for item_id, title, score in one:
        expected = known.get((item_id, title), of_other[-1])
        assert abs(score - expected) <= SCORED, (item_id, title)


def within_a_second(condition):
    """Whether a condition becomes true within a second; the machine may be busy for some more."""
    end = time.monotonic() + 5
    while not (done := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return done


def test_a_replica_answers_with_the_changes_of_the_other(replica):
    first, second = replica(), replica()
    first.upsert([item("new"), item("i5", "pink candle")])
    first.delete(["i0"])
    assert titles(second) != titles(first)

    second.catch_up()

    assert titles(second) == titles(first) == titles(replica())
    require_the_same(found(second), found(first))
    assert second.current.cascade.catalogue.row("i0") is None


def test_a_replica_follows_by_itself_within_a_second(replica):
    first, second = replica(), replica()
    first.follow()
    second.follow()

    first.upsert([item("new")])
    assert within_a_second(lambda: second.find("new"))
    first.delete(["new"])
    assert within_a_second(lambda: second.find("new") is None)
    assert second.age_seconds < 5
    assert second.counts == first.counts


def test_a_replica_follows_through_a_compaction_without_encoding_again(replica, monkeypatch):
    first, second = replica(), replica()
    first.upsert([item("new"), item("other")])
    first.upsert([item("new", "red mug")])
    second.catch_up()
    monkeypatch.setattr("serving.live.item_encoder.ItemEncoder.__call__", None)

    first._items._compact()
    first.delete(["other"])
    second.catch_up()

    assert titles(second) == titles(first) == titles(replica())
    first.delete(["new"])
    second.catch_up()
    assert titles(second) == titles(first)


def test_an_unchanged_upsert_writes_nothing(replica, shop):
    engine = replica()
    same = [
        Item(item_id="new", title="red shirt", texts={"brand": "Acme"}, attributes={"price": 2}),
        item("i5", "pink candle"),
    ]
    engine.upsert(same)
    size, state = engine.counts.journal_bytes, engine.current

    engine.upsert(same)
    engine.upsert([Item(**{**vars(same[0]), "attributes": {"price": 2.0}})])
    known = engine.find("i7")
    engine.upsert([known.item])

    assert engine.counts.journal_bytes == size
    assert engine.current is state
    assert not engine.find("i7").changed


@pytest.mark.parametrize(
    "change",
    [
        {"title": "red  shirt"},
        {"texts": {}},
        {"texts": {"brand": "acme"}},
        {"attributes": {"price": 3}},
        {"attributes": {"price": 2, "new": True}},
        {"attributes": {}},
    ],
)
def test_an_upsert_that_changes_any_field_is_written(engine, change):
    before = {"title": "red shirt", "texts": {"brand": "Acme"}, "attributes": {"price": 2}}
    engine.upsert([Item(item_id="new", **before)])

    engine.upsert([Item(item_id="new", **before | change)])

    assert engine.find("new").item == Item(item_id="new", **before | change)


def test_only_the_changed_items_of_an_upsert_are_written(engine):
    many = [item(f"n{number}") for number in range(50)]
    engine.upsert(many)
    size = engine.counts.journal_bytes

    engine.upsert([*many, item("n50")])

    assert engine.counts.journal_bytes - size < 1000
    assert engine.find("n50").changed


def test_a_second_server_on_a_folder_says_that_it_follows_and_does(base, root, caplog):
    first, second = LiveEngine(base, root), LiveEngine(base, root)
    first.follow()
    second.follow()
    assert "this server follows the item changes and refuses its own" in caplog.text

    first.upsert([item("new")])
    assert within_a_second(lambda: second.find("new"))
    with pytest.raises(JournalHeldError):
        second.upsert([item("mine")])
    with pytest.raises(JournalHeldError):
        second.delete(["new"])
    first.close()
    second.delete(["new"])
    assert LiveEngine(base, root).find("new") is None
    second.close()


def test_deletes_are_decided_in_the_order_of_the_log(shared):
    first, second = shared(), shared()
    first.delete(["i4"])

    with pytest.raises(UnknownItemError, match="'i4'"):
        second.delete(["i6", "i4"])
    assert second.find("i6")
    first.upsert([item("i4", "gold mug")])
    second.delete(["i4"])
    first.catch_up()
    assert first.find("i4") is None


def test_whether_an_upsert_is_unchanged_is_decided_in_the_order_of_the_log(shared):
    first, second = shared(), shared()
    first.upsert([item("new", "red mug")])
    second.catch_up()
    first.upsert([item("new", "navy lamp")])

    second.upsert([item("new", "red mug")])  # as second knows it, and no longer true

    first.catch_up()
    assert first.find("new").item.title == second.find("new").item.title == "red mug"


def test_replicas_that_change_items_together_agree(shared):
    engines, errors = [shared() for _ in range(3)], []
    for engine in engines:
        engine.follow()

    def change(number):
        chosen = random.Random(number)
        for _ in range(20):
            names = chosen.sample([f"n{n}" for n in range(12)], 3)
            try:
                if chosen.random() < 0.3:
                    engines[number].delete(names[:1])
                else:
                    title = " ".join(chosen.choices(["red", "mug", "lamp", "blue"], k=3))
                    engines[number].upsert([item(name, title) for name in names])
                    if chosen.random() < 0.1:
                        with engines[number]._writing:
                            engines[number]._items._compact()
            except UnknownItemError:
                pass
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not errors
    for engine in engines:
        engine.catch_up()
    assert titles(engines[0]) == titles(engines[1]) == titles(engines[2]) == titles(shared())
    for engine in engines[1:]:
        require_the_same(found(engine), found(engines[0]))


def test_while_the_database_is_away_answers_go_on_and_changes_are_refused(shared, postgres, caplog):
    engine, other = shared(), shared()
    engine.follow()
    engine.upsert([item("new")])
    postgres.stop("immediate")
    try:
        before = found(engine)
        for _ in range(3):
            with pytest.raises(LogUnavailableError):
                engine.upsert([item("more")])
            with pytest.raises(LogUnavailableError):
                engine.delete(["new"])
            time.sleep(0.3)
        assert found(engine) == before
        assert engine.age_seconds > 0.5
    finally:
        postgres.start()
    time.sleep(1.0)

    other.catch_up()
    other.upsert([item("later")])

    assert within_a_second(lambda: engine.find("later"))
    assert engine.find("new")
    said = [line for line in caplog.messages if "item changes cannot be followed now" in line]
    assert 1 <= len(said) <= 3  # the database stops, is away, starts
    assert len(set(said)) == len(said)
    assert engine.age_seconds < 5


def test_a_replica_of_another_release_encodes_the_items_with_its_own_models(shared, renamed, base):
    config = EngineConfig(ranked=6, limits=Limits(shortlist=12))
    old, new = shared(), shared(Engine.load(renamed, config), renamed)
    old.upsert([item("a", "teal rug")])
    new.catch_up()
    new.upsert([item("b", "teal rug")])
    old.catch_up()

    for engine in (old, new):
        ours, theirs = vector_of(engine, "a"), vector_of(engine, "b")
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert abs(vector_of(old, "a") - vector_of(new, "a")).max() > 1e-3
    assert titles(old)["b"] == titles(new)["a"] == "teal rug"


def vector_of(engine, item_id):
    row = engine.current.cascade.catalogue.row(item_id)
    return engine._items.state.items.index.vectors(np.array([row]))[0]


def test_the_successor_of_an_engine_goes_on_following(shared, monkeypatch):
    engine, other = shared(), shared()
    engine.follow()
    other.upsert([item("a"), item("gone")])
    successor = shared()
    other.delete(["gone"])

    with engine.hand_over(successor):
        assert successor.find("gone") is None

    other.upsert([item("b")])
    assert within_a_second(lambda: successor.find("b"))
    engine.upsert([item("c")])  # a call that still has the older engine
    other.catch_up()
    assert other.find("c")
    assert successor.find("c")
    assert engine.age_seconds is None
    assert successor.age_seconds < 5
    engine.close()
    successor.upsert([item("d")])
    successor.close()
    assert "item changes" not in {thread.name for thread in threading.enumerate()}


def test_a_failed_hand_over_leaves_both_as_they_were(shared):
    engine, successor, other = shared(), shared(), shared()
    engine.follow()
    own = successor._items.log

    with pytest.raises(RuntimeError, match="stop"), engine.hand_over(successor):
        raise RuntimeError("stop")

    assert successor._items.log is own
    other.upsert([item("b")])
    assert within_a_second(lambda: engine.find("b"))
    successor.catch_up()
    assert successor.find("b")


def test_a_change_that_other_servers_always_outrun_is_refused(engine, monkeypatch):
    monkeypatch.setattr("serving.live.live_engine._pause_seconds", lambda attempt: 0)
    monkeypatch.setattr(engine._items, "append", lambda changes: False)

    with pytest.raises(LogUnavailableError, match="50 times during one change"):
        engine.delete(["i1"])
    with pytest.raises(LogUnavailableError, match="50 times during one change"):
        engine.upsert([item("new")])


def test_the_age_of_what_is_known_is_a_metric(start, engine):
    running = start(lambda: engine)
    running.loaded.result(SECONDS)

    age = running.server.metrics.registry.get_sample_value("shortlist_item_changes_age_seconds")

    assert 0 <= age < 5


def test_an_unchanged_upsert_over_grpc_counts_as_upserted(engine_client, engine):
    assert engine_client.catalog.upsert([item("new")]).upserted == 1
    size = engine.counts.journal_bytes

    assert engine_client.catalog.upsert([item("new")] * 3).upserted == 3
    assert engine.counts.journal_bytes == size
