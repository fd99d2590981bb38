"""Files of an SQLite store that are removed, replaced or cut short under it."""

import os
import shutil
import sqlite3

import pytest

from events.event import Outcome
from events.event_store import StoreError
from events.open_store import open_store
from events.sqlite import SqliteStore

SUFFIXES = ("", "-wal", "-shm")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.sqlite"


@pytest.fixture
def store(path):
    store = SqliteStore(path)
    yield store
    store.close()


def remove(path, suffixes=SUFFIXES):
    for suffix in suffixes:
        path.with_name(path.name + suffix).unlink()


def names(events):
    return [event.event_id for event in events]


def test_a_removed_store_acknowledges_nothing_and_is_not_made_anew(store, path, event, caplog):
    store.append([event("a")])
    remove(path)

    for name in ("b", "c"):
        with pytest.raises(StoreError, match=r"events\.sqlite was removed .* bring it back, or"):
            store.append([event(name)])
    with pytest.raises(StoreError, match="was removed"):
        store.history("u", ["purchase"], 9)

    assert not path.exists()
    assert caplog.text.count("no event is stored until it is back") == 1


def test_an_event_whose_file_vanishes_during_its_commit_is_not_acknowledged(
    store, path, event, monkeypatch
):
    monkeypatch.setattr("events.sqlite._append", lambda *_: [remove(path), Outcome.RECORDED][1])

    with pytest.raises(StoreError, match="was removed while it was in use"):
        store.append([event("a")])


def test_a_store_that_was_brought_back_is_used_again(store, path, tmp_path, event, caplog):
    store.append([event("a")])
    copy = tmp_path / "copy.sqlite"
    with sqlite3.connect(path) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    source.close()
    target.close()
    store.append([event("lost")])
    remove(path)
    with pytest.raises(StoreError):
        store.append([event("b")])

    copy.rename(path)

    assert store.append([event("c"), event("a")]) == [Outcome.RECORDED, Outcome.REPEATED]
    assert "opened again, events are stored" in caplog.text
    again = open_store(str(path))
    assert names(again.scan()) == names(store.scan()) == ["a", "c"]
    again.close()


def test_a_replaced_store_is_used_and_the_old_one_is_not_written(store, path, tmp_path, event):
    other = SqliteStore(tmp_path / "other.sqlite")
    other.append([event("x")])
    other.close()
    store.append([event("a")])
    remove(path, ["-wal", "-shm"])
    old = path.rename(tmp_path / "old.sqlite")
    before = old.read_bytes()

    (tmp_path / "other.sqlite").rename(path)

    assert store.append([event("b")]) == [Outcome.RECORDED]
    assert names(store.scan()) == ["x", "b"]
    assert old.read_bytes() == before


def test_the_log_of_another_file_is_refused(store, path, tmp_path, event):
    other = SqliteStore(tmp_path / "other.sqlite")
    other.close()
    store.append([event("a")])

    (tmp_path / "other.sqlite").replace(path)

    with pytest.raises(StoreError, match=r"-wal belongs to the file that was there before"):
        store.append([event("b")])
    remove(path, ["-wal", "-shm"])
    assert store.append([event("c")]) == [Outcome.RECORDED]
    assert names(store.scan()) == ["c"]


@pytest.mark.parametrize("suffixes", [["-wal"], ["-shm"], ["-wal", "-shm"]])
def test_removed_companions_lose_no_acknowledged_event(store, path, event, suffixes):
    store.append([event("a")])
    remove(path, suffixes)

    store.append([event("b")])

    store.close()
    again = SqliteStore(path)
    assert names(again.scan()) == ["a", "b"]
    again.close()


def test_a_store_that_was_cut_short_acknowledges_nothing(store, path, event):
    store.append([event(f"e{n}", item_id="x" * 200) for n in range(500)])
    store._file.empty_log()
    store.count()
    os.truncate(path, path.stat().st_size // 2)

    for name in ("b", "c"):
        with pytest.raises(StoreError):
            store.append([event(name)])


def test_an_emptied_file_is_not_made_a_store_under_a_server(store, path, event):
    store.append([event("a")])
    store._file.empty_log()
    os.truncate(path, 0)

    with pytest.raises(StoreError, match="must be an event store of version 3"):
        store.append([event("b")])
    assert path.stat().st_size == 0


def test_a_log_that_was_cut_short_stops_the_store_and_leaves_the_file_whole(store, path, event):
    store.append([event(f"e{n}", item_id="x" * 200) for n in range(500)])
    wal = path.with_name(f"{path.name}-wal")
    before = path.read_bytes()
    os.truncate(wal, 4096)

    for name in ("b", "c"):
        with pytest.raises(StoreError):
            store.append([event(name)])

    store.close()
    assert path.read_bytes() == before


def test_another_process_may_empty_the_log(store, path, event):
    store.append([event("a")])
    other = SqliteStore(path)
    other.append([event("b", user_id="v")])
    assert other.erase(["v"], digest="d", at=1) == (1, 0)

    assert store.append([event("c")]) == [Outcome.RECORDED]
    assert names(store.scan()) == ["a", "c"]
    other.close()


def test_a_disk_image_copied_over_the_file_is_read_after_a_restart(store, path, tmp_path, event):
    store.append([event("a")])
    store.close()
    shutil.copy(path, tmp_path / "copy")

    shutil.copy(tmp_path / "copy", path)

    again = SqliteStore(path)
    assert names(again.scan()) == ["a"]
    again.close()
