import contextlib
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from events.postgresql_connection import PATIENCE_SECONDS
from lineage.journal import Journal, JournalHeldError
from lineage.journal_records import read_journal
from lineage.manifest import ArtifactError
from serving.replication import postgresql_log
from serving.replication.open_log import open_log
from serving.replication.postgresql_log import PostgresqlLog
from serving.replication.protocol import LogUnavailableError, Position


@pytest.fixture
def address(postgres):
    return postgres.empty()


@pytest.fixture
def log(address):
    log = PostgresqlLog(address)
    yield log
    log.close()


def appended(log, *records):
    end = log.read(None).position
    for record in records:
        end = log.append(record, after=end)
    return end


def test_after_a_crash_of_the_server_the_log_reconnects_and_has_all_records(postgres, log):
    end = appended(log, b"a")

    postgres.stop("immediate")  # as by a crash
    postgres.start()

    assert log.append(b"b", after=end) is not None
    assert list(log.read(None).records) == [b"a", b"b"]


def test_while_the_server_is_down_every_call_raises_at_once(postgres, log):
    end = appended(log, b"a")
    postgres.stop("immediate")
    try:
        for call in (
            lambda: log.append(b"b", after=end),
            lambda: log.replace([b"b"], after=end),
            lambda: log.read(end),
        ):
            started = time.monotonic()
            with pytest.raises(LogUnavailableError, match="PostgreSQL cannot store item changes"):
                call()
            assert time.monotonic() - started < PATIENCE_SECONDS / 2
        log.wait(0.01, threading.Event())
        assert log.size() == 0  # the last known one
    finally:
        postgres.start()
    time.sleep(1.0)
    assert list(log.read(None).records) == [b"a"]


def test_a_server_that_hangs_is_given_up(postgres, log, monkeypatch):
    monkeypatch.setattr("serving.replication.postgresql_session.PATIENCE_SECONDS", 1.0)
    end = appended(log, b"a")
    backends = postgres.processes()
    for process in backends:
        with contextlib.suppress(ProcessLookupError):  # a worker of the server may end
            os.kill(process, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(LogUnavailableError):
            log.append(b"b", after=end)
        assert time.monotonic() - started < 5
    finally:
        for process in backends:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)
    time.sleep(1.0)
    tail = log.read(None)
    assert list(tail.records)[:1] == [b"a"]
    assert log.append(b"c", after=tail.position) is not None


def test_an_append_whose_answer_got_lost_is_recognised(log, monkeypatch):
    end, execute, lost = appended(log, b"a"), psycopg.Connection.execute, []

    def losing(connection, query, *arguments, **options):
        done = execute(connection, query, *arguments, **options)
        if "INSERT INTO item_changes" in query and not lost:
            lost.append(query)
            raise psycopg.OperationalError("the connection broke before the answer came")
        return done

    monkeypatch.setattr(psycopg.Connection, "execute", losing)
    after = log.append(b"b", after=end)

    assert len(lost) == 1
    assert list(log.read(None).records) == [b"a", b"b"]
    assert log.read(None).position == after


def test_a_commit_waits_for_the_disk_whatever_the_server_defaults_to(postgres):
    log = PostgresqlLog(postgres.empty() + "%20-csynchronous_commit%3Doff")

    shown = log._session.call(lambda c: c.execute("SHOW synchronous_commit").fetchone())

    assert shown == ("on",)
    log.close()


def test_a_long_log_is_read_in_portions(address, log, monkeypatch):
    """However slow the network is: one call may take a few seconds, all of them may take longer."""
    monkeypatch.setattr("serving.replication.postgresql_log.PORTION", {"rows": 4, "bytes": 10})
    wanted = [b"%d" % number * (number % 7 + 1) for number in range(40)]
    end = appended(log, *wanted)
    portions, at_once = [], postgresql_log._read
    monkeypatch.setattr(
        "serving.replication.postgresql_log._read",
        lambda *given: portions.append(at_once(*given)) or portions[-1],
    )

    tail = log.read(None)

    assert (list(tail.records), tail.position, tail.whole) == (wanted, end, True)
    assert max(len(portion.records) for portion in portions) <= 4
    assert max(sum(map(len, portion.records[:-1])) for portion in portions) <= 10
    assert list(log.read(end).records) == []


def test_a_log_that_is_replaced_between_two_portions_is_read_anew(address, log, monkeypatch):
    monkeypatch.setattr("serving.replication.postgresql_log.PORTION", {"rows": 3, "bytes": 99})
    end = appended(log, b"a", b"b", b"c", b"d")
    other, at_once = PostgresqlLog(address), postgresql_log._read
    replaced = []

    def read(connection, after):
        tail = at_once(connection, after)
        if not replaced:
            replaced.append(other.replace([b"ad"], after=end))
        return tail

    monkeypatch.setattr("serving.replication.postgresql_log._read", read)

    tail = log.read(None)

    assert (list(tail.records), tail.whole) == ([b"ad"], True)
    assert tail.position == replaced[0]
    other.close()


def test_a_table_that_was_made_anew_is_said_to_be_another_one(address, log, caplog):
    end = appended(log, b"a", b"b")
    after = log.replace([b"ab"], after=end)
    assert log.read(end).whole
    assert not caplog.text
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP TABLE item_changes")
    with pytest.raises(LogUnavailableError, match='"item_changes" does not exist'):
        log.read(after)
    PostgresqlLog(address).close()  # another server starts
    log._session._retry_at = 0.0

    tail = log.read(after)

    assert (list(tail.records), tail.whole) == ([], True)
    assert "changes that it does not have are in force no more" in caplog.text


def test_a_database_that_was_restored_is_read_anew(address, log):
    end = appended(log, b"a", b"b")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DELETE FROM item_changes WHERE position = 2")

    tail = log.read(end)

    assert (list(tail.records), tail.whole) == ([b"a"], True)
    assert log.append(b"late", after=end) is None
    other = log.append(b"B", after=tail.position)
    assert other.place == end.place
    again = log.read(end)
    assert (list(again.records), again.whole) == ([b"a", b"B"], True)


def test_an_append_waits_for_a_replacement_and_then_changes_nothing(address, log):
    end = appended(log, b"a", b"b")
    with psycopg.connect(address) as replacing:
        replacing.execute("LOCK TABLE item_changes IN EXCLUSIVE MODE")
        replacing.execute("DELETE FROM item_changes")
        replacing.execute("INSERT INTO item_changes VALUES (%s, 7, 'ab')", (end.place + 1,))
        outcome = []
        thread = threading.Thread(target=lambda: outcome.append(log.append(b"c", after=end)))
        thread.start()
        time.sleep(0.3)
        assert not outcome
        replacing.commit()
        thread.join()

    assert outcome == [None]
    assert log.read(end).position == Position(7, end.place + 1)


def test_an_unreachable_server_is_reported_without_the_password(tmp_path):
    with pytest.raises(LogUnavailableError, match="PostgreSQL cannot store") as caught:
        PostgresqlLog(f"postgresql://shop:secret@/shop?host={tmp_path}")

    assert "secret" not in str(caught.value)


def test_the_events_database_has_the_changes_too_unless_said_otherwise(address, tmp_path):
    journal = tmp_path / "CHANGES"
    for changes, events, kind in (
        (None, address, "PostgresqlLog"),
        ("journal", address, "JournalLog"),
        (address, "events.sqlite", "PostgresqlLog"),
        (None, "events.sqlite", "JournalLog"),
    ):
        log = open_log(changes, journal, events=events)
        assert type(log).__name__ == kind
        log.close()
    with pytest.raises(ArtifactError, match="changes must be 'journal' or begin with postgresql"):
        open_log("elsewhere", journal, events=address)


def test_a_new_table_takes_over_the_journal_once(address, tmp_path, caplog):
    journal = Journal(tmp_path / "CHANGES")
    journal.append(b"a")
    journal.append(b"b")
    journal.close()

    first = open_log(address, journal.path, events="")
    second = open_log(address, journal.path, events="")

    assert caplog.text.count("its 2 records are in PostgreSQL now") == 1
    end = first.read(None).position
    assert list(second.read(None).records) == [b"a", b"b"]
    first.replace([], after=end)
    third = open_log(address, journal.path, events="")
    assert list(third.read(None).records) == []
    for log in (first, second, third):
        log.close()


def test_no_process_writes_the_journal_while_servers_share_the_table(address, tmp_path, caplog):
    """Such as an older version, or a server with `--changes journal`, on the same folder."""
    path = tmp_path / "CHANGES"
    writer = Journal(path)
    writer.append(b"a")
    with pytest.raises(ArtifactError, match=r"CHANGES is being written by process .* stop it"):
        open_log(address, path, events="")
    writer.close()

    servers = [open_log(address, path, events="") for _ in range(2)]
    with pytest.raises(JournalHeldError, match="written by servers that share item changes in"):
        Journal(path)
    for server in servers:
        server.close()

    assert read_journal(tmp_path / "CHANGES.in-postgresql") == [b"a"]
    writer = Journal(path)  # after going back to the journal
    writer.append(b"b")
    writer.close()
    open_log(address, path, events="").close()
    assert "its 1 records are not used, because PostgreSQL has others" in caplog.text
    assert read_journal(path) == [b"b"]


def test_servers_that_start_together_make_one_table(postgres):
    address = postgres.empty()
    with ThreadPoolExecutor(4) as pool:
        logs = list(pool.map(PostgresqlLog, [address] * 4))

    positions = {log.read(None).position for log in logs}

    assert len(positions) == 1
    assert positions.pop().place == 0
    for log in logs:
        log.close()
