import sqlite3

import pytest

from events.event_store import StoreError
from events.exposures.sqlite import NEWEST_OVER, OF_USER, PRUNE, SCAN
from events.sqlite import SqliteStore


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.sqlite"


@pytest.fixture
def store(path):
    store = SqliteStore(path)
    yield store
    store.close()


@pytest.mark.parametrize(
    ("query", "given", "index"),
    [
        (SCAN, (0, 0, 9), "SEARCH exposures USING INDEX exposures_of_time (time>? AND time<?)"),
        (OF_USER, ("u", 0), "SEARCH exposures USING INDEX exposures_of_user (user_id=? AND rowid>"),
        (NEWEST_OVER, (5,), "SCAN exposures USING COVERING INDEX exposures_of_time"),
        (PRUNE, (5, 5), "SEARCH exposures USING INTEGER PRIMARY KEY (rowid=?)"),
    ],
)
def test_no_query_reads_or_sorts_the_whole_table(store, query, given, index):
    plan = store._file._connection().execute(f"EXPLAIN QUERY PLAN {query}", given)

    steps = [row[3] for row in plan]

    assert steps[0].startswith(index)
    assert not any("TEMP B-TREE" in step for step in steps)
    assert not any(step.startswith("SCAN exposures") and "COVERING" not in step for step in steps)


def test_a_full_disk_raises_and_stores_no_part_of_a_batch(store, path, shown):
    store.exposures.append([shown("a")])
    store._file._connection().execute("PRAGMA max_page_count = 12")

    with pytest.raises(StoreError, match="database or disk is full"):
        store.exposures.append([shown("b", item_ids=("x" * 256,) * 200) for _ in range(50)])

    assert [one.request_id for one in store.exposures.scan()] == ["a"]


def test_a_locked_file_raises_after_a_while(store, path, shown, monkeypatch):
    store._file._connection().execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreError, match="database is locked"):
        store.exposures.append([shown("a")])

    other.execute("ROLLBACK")
    other.close()
    assert store.exposures.append([shown("a")]) == 1


def test_no_byte_of_an_erased_user_stays_in_the_files(store, path, shown):
    users = [f"jane-{n}@example.com" for n in range(9)]
    for _ in range(30):
        store.exposures.append([shown("r", user_id=user) for user in users for _ in range(5)])

    def times(user):
        return sum(file.read_bytes().count(user.encode()) for file in path.parent.iterdir())

    assert times(users[7]) > 100

    store.erase([users[7]], digest="d", at=1)

    assert times(users[7]) == 0
    assert times(users[8]) > 100
