import random
import shutil
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Semaphore

import pytest

from events.event_store import StoreError
from events.open_store import open_store
from events.sqlite import SqliteStore
from shortlist_client.api.event import Event


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.sqlite"


def test_every_connection_flushes_commits_to_the_disk(path):
    store = SqliteStore(path)

    connection = store._file._connection()
    settings = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous")
    }

    assert settings == {"journal_mode": "wal", "synchronous": 2}
    store.close()


def test_a_history_is_read_only_from_the_index(path):
    store = SqliteStore(path)
    plan = store._file._connection().execute(
        "EXPLAIN QUERY PLAN SELECT item_id, action, time, event_id FROM events "
        "WHERE user_id = 'u' AND action IN ('a', 'b') ORDER BY time DESC, sequence DESC LIMIT 9"
    )

    steps = [row[3] for row in plan]

    assert steps[0].startswith("SEARCH events USING COVERING INDEX events_of_user (user_id=? AND")
    store.close()


def test_a_file_of_another_program_is_refused_and_not_changed(path):
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE events (mine TEXT)")
    other.close()
    before = path.read_bytes()

    with pytest.raises(StoreError, match=f"{path} must be an event store of version 3"):
        open_store(str(path))

    assert path.read_bytes() == before


def test_a_file_that_is_not_a_database_is_refused(path):
    path.write_text("user_id,item_id\n" * 1000)

    with pytest.raises(StoreError, match=f"{path} cannot store events: file is not a database"):
        open_store(str(path))
    assert path.read_text() == "user_id,item_id\n" * 1000


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"missing/events\.sqlite cannot store events"):
        open_store(str(tmp_path / "missing" / "events.sqlite"))


def test_a_full_file_raises_and_keeps_its_events(path, event):
    store = SqliteStore(path)
    store.append([event("a")])
    store._file._connection().execute("PRAGMA max_page_count = 8")

    def fill():
        for n in range(1000):
            store.append([event(f"{n}-{m}", item_id="x" * 256) for m in range(50)])

    with pytest.raises(StoreError, match="database or disk is full"):
        fill()

    store.close()
    again = SqliteStore(path)
    stored = [event.event_id for event in again.scan()]
    assert stored[0] == "a"
    assert len(stored) % 50 == 1
    again.close()


def test_a_copy_of_the_files_of_a_killed_process_holds_all_acknowledged_events(
    path, tmp_path, event
):
    store = SqliteStore(path)
    store.append([event("a"), event("b")])
    later = tmp_path / "later"
    later.mkdir()
    for file in path.parent.glob("events.sqlite*"):
        if not file.name.endswith("-shm"):  # shared memory, lost in a power cut
            shutil.copy(file, later)

    found = SqliteStore(later / path.name)

    assert [stored.event_id for stored in found.scan()] == ["a", "b"]
    store.close()
    found.close()


def test_closing_the_store_during_reads_lets_them_finish_or_raise(tmp_path):
    bought = [
        Event(event_id=f"e{n}", user_id="u", item_id="i", action="purchase", time=1)
        for n in range(200)
    ]

    def look(store, looks):
        with suppress(StoreError):
            while True:
                assert len(store.history("u", ["purchase"], 200)) == 200
                looks.release()

    with ThreadPoolExecutor(4) as pool:
        for number in range(25):
            looks = Semaphore(0)
            store = SqliteStore(tmp_path / f"{number}.sqlite")
            store.append(bought)
            looking = [pool.submit(look, store, looks) for _ in range(4)]
            for _ in range(12):
                assert looks.acquire(timeout=60)
            store.close()
            for one in looking:
                one.result(60)


def test_no_byte_of_an_erased_user_stays_in_the_folder(path):
    store = SqliteStore(path)
    chosen, users = random.Random(0), [f"user-{n}@example.com" for n in range(40)]
    for batch in range(150):
        store.append(
            [
                Event(
                    event_id=f"{batch}-{n}",
                    user_id=(user := chosen.choice(users)),
                    item_id=f"item bought by {user}",
                    action="purchase",
                    time=chosen.randrange(10**9),
                    request_id=f"session of {user}" * chosen.randrange(9),
                )
                for n in range(chosen.randrange(1, 20))
            ]
        )
        if batch % 4 == 0:
            store.prune(chosen.randrange(10**8))

    def times(user):
        return sum(file.read_bytes().count(user.encode()) for file in path.parent.iterdir())

    assert min(times(users[7]), times(users[8])) > 100

    store.erase([users[7]], digest="d", at=1)

    assert times(users[7]) == 0
    assert times(users[8]) > 100
    store.close()


def test_an_erasure_that_stays_in_the_log_is_not_acknowledged(path, event, monkeypatch):
    monkeypatch.setattr("events.sqlite_file.PATIENCE_SECONDS", 0.1)
    store = SqliteStore(path)
    store.append([event("a")])
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM events").fetchall()

    with pytest.raises(StoreError, match="still holds deleted rows"):
        store.erase(["u"], digest="d", at=1)

    reader.close()
    assert store.erase(["u"], digest="d", at=1) == (0, 0)
    assert [erasure.digest for erasure in store.erasures()] == ["d", "d"]
    store.close()


def test_users_are_erased_at_once_while_others_are_read_and_written(path):
    def event(event_id, user):
        return Event(event_id=event_id, user_id=user, item_id="i", action="click", time=1)

    store = SqliteStore(path)
    store.append([event(str(n), f"u{n % 9}") for n in range(900)])
    done = threading.Event()

    def disturb(number):
        while not done.is_set():
            store.append([event(f"{number} {time.perf_counter_ns()}", "busy")])
            list(store.scan())

    with ThreadPoolExecutor(12) as threads:
        others = [threads.submit(disturb, number) for number in range(3)]
        erasing = [
            threads.submit(store.erase, [f"u{n}"], digest=f"d{n}", at=n + 1) for n in range(9)
        ]
        try:
            assert [one.result() for one in erasing] == [(100, 0)] * 9
        finally:
            done.set()
        for other in others:
            other.result()
    store.close()
