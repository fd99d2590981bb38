"""Stores of version 1, whose event ids were unique among all clients, and 2, without exposures."""

import sqlite3
from contextlib import closing

import pytest

from events.event import Outcome
from events.event_store import Erasure, StoreError
from events.open_store import open_store
from shortlist_client.api.exposure import Exposure

SQLITE_1 = f"""
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    action TEXT NOT NULL,
    time INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    position INTEGER
) STRICT;
CREATE INDEX events_of_user ON events (user_id, action, time, sequence, item_id, event_id);
PRAGMA application_id = {0x53484C45};
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
"""
POSTGRESQL_1 = """
CREATE TABLE events (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id text NOT NULL UNIQUE,
    user_id text NOT NULL,
    item_id text NOT NULL,
    action text NOT NULL,
    time bigint NOT NULL,
    request_id text NOT NULL,
    position integer
);
CREATE INDEX events_of_user ON events (user_id, action, time, sequence)
    INCLUDE (item_id, event_id);
"""
SQLITE_2 = f"""
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY,
    client TEXT NOT NULL,
    event_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    action TEXT NOT NULL,
    time INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    position INTEGER,
    UNIQUE (client, event_id)
) STRICT;
CREATE INDEX events_of_user ON events (user_id, action, time, sequence, item_id, event_id);
CREATE TABLE erased (
    sequence INTEGER PRIMARY KEY,
    digest TEXT NOT NULL,
    time INTEGER NOT NULL
) STRICT;
INSERT INTO events VALUES (7, 'shop', 'a', 'u', 'i', 'purchase', 100, 'r', 3);
INSERT INTO erased VALUES (5, 'd', 9);
PRAGMA application_id = {0x53484C45};
PRAGMA user_version = 2;
PRAGMA journal_mode = WAL;
"""
INSERT = """INSERT INTO events (event_id, user_id, item_id, action, time, request_id, position)
    VALUES ('{0}', '{1}', 'i', 'purchase', 100, '', NULL)"""
ROWS = (("a", "u"), ("b", "v"), ("c", "u"))


@pytest.fixture
def old(address):
    """Address of a store of version 1 with the events a, b and c."""
    if "://" in address:
        import psycopg

        with psycopg.connect(address, autocommit=True) as connection:
            for statement in (*POSTGRESQL_1.split(";"), *(INSERT.format(*row) for row in ROWS)):
                connection.execute(statement)
    else:
        with closing(sqlite3.connect(address)) as connection:
            connection.executescript(SQLITE_1 + ";".join(INSERT.format(*row) for row in ROWS) + ";")
    return address


def names(events):
    return [event.event_id for event in events]


def test_an_old_store_keeps_its_events_in_their_order(old, event):
    for _ in range(2):  # opening it again changes nothing more
        store = open_store(old)
        assert list(store.scan()) == [event(name, user_id=user) for name, user in ROWS]
        assert names(store.history("u", ["purchase"], 9)) == ["a", "c"]
        assert store.exposures.count() == 0
        store.close()


def test_event_ids_of_an_old_store_are_scoped_from_now_on(old, event):
    store = open_store(old)

    outcomes = [
        store.append([event("a")]),  # without clients, an old event is still known
        store.append([event("a")], clients=["shop"]),
        store.append([event("a")], clients=["shop"]),
        store.append([event("d")]),
    ]

    assert outcomes == [
        [Outcome.REPEATED],
        [Outcome.RECORDED],
        [Outcome.REPEATED],
        [Outcome.RECORDED],
    ]
    assert names(store.scan()) == ["a", "b", "c", "a", "d"]
    assert store.erase(["u"], digest="d", at=1) == (4, 0)
    store.close()


def test_a_store_without_exposures_gets_them_and_keeps_the_rest(tmp_path, event):
    path = tmp_path / "events.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SQLITE_2)

    for opened in range(2):
        store = open_store(str(path))
        assert list(store.scan()) == [event("a", request_id="r", position=3)]
        assert [row[0] for rows in store.since(0, ["purchase"], later_than=0) for row in rows] == [
            7
        ]
        assert store.erasures() == [Erasure(sequence=5, digest="d", time=9)]
        again = event("a", request_id="r", position=3)
        assert store.append([again], clients=["shop"]) == [Outcome.REPEATED]
        assert store.exposures.count() == opened
        shown = Exposure(request_id="r", time=1, method="similar", item_ids=("i",), scores=(1.0,))
        store.exposures.append([shown])
        store.close()


def test_a_failed_migration_leaves_the_old_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "events.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SQLITE_1 + INSERT.format("a", "u") + ";")
    monkeypatch.setattr("events.sqlite_schema.MARKS", "DROP TABLE missing")

    with pytest.raises(StoreError, match="no such table: missing"):
        open_store(str(path))

    monkeypatch.undo()
    store = open_store(str(path))
    assert names(store.scan()) == ["a"]
    store.close()
