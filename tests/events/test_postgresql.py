import contextlib
import os
import signal
import threading
import time

import pytest

from events.event import Outcome
from events.event_store import StoreError
from events.open_store import open_store


@pytest.fixture
def store(postgres):
    store = open_store(postgres.empty())
    yield store
    store.close()


def test_after_a_crash_of_the_server_the_store_reconnects_and_has_all_events(
    postgres, store, event
):
    store.append([event("a"), event("b")])

    postgres.stop("immediate")  # as by a crash
    postgres.start()

    assert [stored.event_id for stored in store.history("u", ["purchase"], 9)] == ["a", "b"]
    assert store.append([event("b"), event("c")]) == [Outcome.REPEATED, Outcome.RECORDED]


def test_while_the_server_is_down_every_call_raises(postgres, store, event, monkeypatch):
    monkeypatch.setattr(store._pool, "timeout", 0.3)
    postgres.stop("immediate")
    try:
        with pytest.raises(StoreError, match="PostgreSQL cannot store events"):
            store.append([event("a")])
        with pytest.raises(StoreError, match="PostgreSQL cannot store events"):
            store.history("u", ["purchase"], 9)
    finally:
        postgres.start()


def send(process, number):
    """Send a signal, unless the process has ended, as workers of a server do."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


def test_a_server_that_hangs_holds_no_call_and_is_used_again(postgres, store, event, monkeypatch):
    """Stopped, or behind a network that drops everything and says nothing."""
    monkeypatch.setattr("events.postgresql.PATIENCE_SECONDS", 1.0)
    store.append([event("a")])
    stopped = postgres.processes()
    for process in stopped:
        send(process, signal.SIGSTOP)
    outcomes = []

    def call():
        with pytest.raises(StoreError, match="PostgreSQL cannot store events"):
            store.append([event("b")])
        outcomes.append(time.monotonic())

    started = time.monotonic()
    threads = [threading.Thread(target=call, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join(20)
    finally:
        for process in stopped:
            send(process, signal.SIGCONT)

    assert len(outcomes) == 3
    assert max(outcomes) - started < 15
    end = time.monotonic() + 15
    while time.monotonic() < end:
        try:
            store.append([event("c")])
            break
        except StoreError:
            time.sleep(0.2)
    assert {"a", "c"} <= {stored.event_id for stored in store.history("u", ["purchase"], 9)}


def test_a_commit_waits_for_the_disk_whatever_the_server_defaults_to(postgres):
    store = open_store(postgres.empty() + "%20-csynchronous_commit%3Doff")

    shown = store._transact(
        lambda connection: connection.execute("SHOW synchronous_commit").fetchone()
    )

    assert shown == ("on",)
    store.close()


def test_an_unreachable_server_is_reported_without_the_password(tmp_path, monkeypatch):
    monkeypatch.setattr("events.postgresql.PATIENCE_SECONDS", 0.3)

    with pytest.raises(StoreError, match="unreachable") as caught:
        open_store(f"postgresql://shop:secret@/shop?host={tmp_path}")

    assert "secret" not in str(caught.value)


def test_an_address_of_another_database_is_refused():
    with pytest.raises(StoreError, match=r"address must be .* got 'mysql://shop'"):
        open_store("mysql://shop")
