"""The contract of every change log."""

import random
import threading
import time
from itertools import chain

import pytest

from serving.replication.protocol import Position

SECONDS = 20


@pytest.fixture
def opened(opened_log):
    return opened_log


@pytest.fixture
def log(opened):
    return opened()


def appended(log, *records):
    """Append records at the end of a log that nobody else writes; return the end."""
    end = log.read(None).position
    for record in records:
        while (after := log.append(record, after=end)) is None:
            end = log.read(None).position  # the first append creates the log
        end = after
    return end


def records(log):
    return list(log.read(None).records)


class Reader:
    """Knows what it has read, as a server does."""

    def __init__(self, log):
        self.log, self.known, self.position, self.rereads = log, [], None, 0

    def look(self):
        tail = self.log.read(self.position)
        self.rereads += tail.whole
        self.known = [*tail.records] if tail.whole else [*self.known, *tail.records]
        self.position = tail.position
        return self.known


def test_a_new_log_is_empty(log):
    tail = log.read(None)

    assert (list(tail.records), tail.whole) == ([], True)
    assert list(log.read(tail.position).records) == []


def test_records_come_back_in_order_byte_by_byte(log, opened):
    written = [b"first", b"x" * 300_000, bytes(range(256)), "fünf".encode()]
    appended(log, *written)

    assert records(log) == written
    assert records(opened()) == written


def test_a_reader_gets_each_record_once(log, opened):
    reader = Reader(opened())
    for number in range(5):
        appended(log, b"%d" % number)
        assert reader.look() == [b"%d" % n for n in range(number + 1)]
        assert reader.look() == [b"%d" % n for n in range(number + 1)]
    assert reader.rereads == 1


def test_an_append_after_an_older_position_changes_nothing(log):
    older = appended(log, b"a")
    newer = log.append(b"b", after=older)

    assert log.append(b"late", after=older) is None
    assert records(log) == [b"a", b"b"]
    assert log.append(b"c", after=newer) is not None


def test_an_append_after_an_unknown_position_changes_nothing(log):
    end = appended(log, b"a")

    for unknown in (
        Position(end.generation, end.place + 1),
        Position(end.generation + 1, end.place),
    ):
        assert log.append(b"late", after=unknown) is None
        assert log.replace([b"late"], after=unknown) is None
    assert records(log) == [b"a"]


def test_a_replacement_is_noticed_by_readers_wherever_they_are(log, opened):
    early, late, never = Reader(opened()), Reader(opened()), Reader(opened())
    appended(log, b"a")
    early.look()
    end = appended(log, b"b", b"c")
    late.look()

    after = log.replace([b"C"], after=end)

    assert log.append(b"d", after=after) is not None
    for reader in (early, late, never):
        assert reader.look() == [b"C", b"d"]
        assert reader.look() == [b"C", b"d"]


def test_a_replacement_by_nothing_empties_the_log(log, opened):
    reader = Reader(opened())
    end = appended(log, b"a", b"b")
    reader.look()

    after = log.replace([], after=end)

    assert reader.look() == []
    assert log.append(b"c", after=after) is not None
    assert reader.look() == records(opened()) == [b"c"]


def test_replacing_again_and_again_is_followed(log, opened):
    reader, end = Reader(opened()), appended(log, b"0")
    for number in range(1, 8):
        end = log.replace([b"%d" % number], after=end)
        if number % 2:
            assert reader.look() == [b"%d" % number]
        end = log.append(b"+", after=end)
    assert reader.look() == [b"7", b"+"]


def test_a_replacement_after_an_older_position_changes_nothing(log):
    older = appended(log, b"a")
    log.append(b"b", after=older)

    assert log.replace([b"A"], after=older) is None
    assert records(log) == [b"a", b"b"]


def test_a_closed_log_opens_again(log):
    appended(log, b"a")
    log.close()

    appended(log, b"b")
    assert records(log) == [b"a", b"b"]


def test_the_size_grows_with_the_records(log):
    appended(log, b"x" * 1000)
    small = log.size()
    appended(log, b"x" * 1000)

    assert 1000 <= small < log.size() < 5000


def test_a_waiting_reader_learns_of_a_record_soon(log, opened):
    reader, seen, stopped = Reader(opened()), threading.Event(), threading.Event()
    appended(log, b"a")

    def follow():
        while not stopped.is_set():
            if b"b" in reader.look():
                seen.set()
                return
            reader.log.wait(5.0, stopped)

    thread = threading.Thread(target=follow)
    thread.start()
    time.sleep(0.7)
    appended(log, b"b")
    started = time.monotonic()

    assert seen.wait(SECONDS)
    assert time.monotonic() - started < 2.5  # of the 5 that it waits; the machine may be busy
    stopped.set()
    thread.join()


@pytest.mark.parametrize("writers", [3])
def test_writers_at_the_same_time_agree_on_one_order(opened, writers):
    """Journals of one process share the log; tables have a connection for every writer."""
    first = opened()
    appended(first, b"start")
    logs = [first if hasattr(first, "path") else opened() for _ in range(writers)]
    readers, acknowledged = [Reader(log) for log in logs], [[] for _ in logs]

    def write(number):
        chosen, reader = random.Random(number), readers[number]
        for count in range(25):
            record = b"%d-%d" % (number, count)
            while True:
                known = reader.look()
                if chosen.random() < 0.05:
                    compacted = [b"|".join(known)]
                    if logs[number].replace(compacted, after=reader.position) is None:
                        continue
                    reader.look()
                if logs[number].append(record, after=reader.position) is not None:
                    break
            acknowledged[number].append(record)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    everything = b"|".join(records(first)).split(b"|")
    assert [b"|".join(reader.look()).split(b"|") for reader in readers] == [everything] * writers
    assert sorted(everything) == sorted([b"start", *chain(*acknowledged)])
    for number, of_writer in enumerate(acknowledged):
        assert [r for r in everything if r.startswith(b"%d-" % number)] == of_writer
