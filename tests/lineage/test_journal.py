import errno
import os
import random
import socket
import subprocess
import sys

import pytest

from lineage.journal import HEADER, Journal, JournalError, read_journal
from lineage.manifest import CorruptArtifactError

RECORDS = [b"first", b"", b"x" * 5000, "fünf".encode(), bytes(range(256))]
HOLD = """
import pathlib, sys, time
from lineage.journal import Journal
journal = Journal(pathlib.Path(sys.argv[1]))
print("holds", flush=True)
time.sleep(60)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "CHANGES"


@pytest.fixture
def written(path):
    """A closed journal of some records."""
    journal = Journal(path)
    for record in RECORDS:
        journal.append(record)
    journal.close()
    return path


def test_records_come_back_in_order(written):
    assert read_journal(written) == RECORDS


def test_there_is_nothing_where_no_journal_is(path):
    assert read_journal(path) == []


def test_cut_off_anywhere_the_whole_records_before_are_left(written):
    whole = written.read_bytes()
    ends = [len(HEADER)]
    for record in RECORDS:
        ends.append(ends[-1] + 12 + len(record))
    for size in {*range(120), *range(len(whole) - 300, len(whole) + 1), *ends}:
        written.write_bytes(whole[:size])
        left = RECORDS[: sum(end <= size for end in ends[1:])]

        assert read_journal(written) == left
        journal = Journal(written)
        journal.append(b"next")
        journal.close()
        assert read_journal(written) == [*left, b"next"]


def test_zeros_at_the_end_are_a_torn_tail(written):
    with written.open("ab") as file:
        file.write(bytes(4096))

    assert read_journal(written) == RECORDS


def test_a_byte_that_changed_before_the_last_record_is_refused_with_its_place(written):
    whole, chosen = written.read_bytes(), random.Random(0)
    last = len(whole) - 12 - len(RECORDS[-1])
    for place in chosen.sample(range(len(HEADER), last), 200):
        spoilt = bytearray(whole)
        spoilt[place] ^= 1 << chosen.randrange(8)
        written.write_bytes(spoilt)

        with pytest.raises(CorruptArtifactError, match=r"damaged from byte \d+ to \d+, record \d"):
            read_journal(written)
        with pytest.raises(CorruptArtifactError, match="damaged"):
            Journal(written)
        assert written.read_bytes() == spoilt


def test_a_file_of_something_else_is_left_alone(path):
    path.write_text("what is this, that is no journal?")

    with pytest.raises(CorruptArtifactError, match="must begin with"):
        Journal(path)
    assert path.read_text() == "what is this, that is no journal?"


def full_after(taken):
    """A disk on which so many bytes still fit."""
    left, write = [taken], os.write

    def refuse(descriptor, content):
        some = bytes(content[: left[0]])
        left[0] -= len(some)
        if not some:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, some)

    return refuse


@pytest.mark.parametrize("taken", [0, 1, 11, 12, 100])
def test_a_full_disk_in_the_middle_of_a_write_leaves_all_as_it_was(written, monkeypatch, taken):
    before, journal = written.read_bytes(), Journal(written)
    with monkeypatch.context() as disk:
        disk.setattr(os, "write", full_after(taken))
        with pytest.raises(OSError, match="No space left"):
            journal.append(b"y" * 300)
    assert written.read_bytes() == before

    journal.append(b"after")
    journal.close()
    assert read_journal(written) == [*RECORDS, b"after"]


def test_a_write_that_cannot_be_undone_ends_all_writing(written, monkeypatch):
    journal = Journal(written)

    def refuse(*_):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="Input/output"):
            journal.append(b"lost")
    with pytest.raises(JournalError, match=r"in doubt since a write failed .*Input/output"):
        journal.append(b"more")
    journal.close()


def test_every_record_is_forced_to_the_disk_before_it_is_acknowledged(path, monkeypatch):
    journal, forced, fsync = Journal(path), [], os.fsync

    def counted(descriptor):
        forced.append(os.fstat(descriptor).st_size)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", counted)
    journal.append(b"12345")
    journal.close()

    assert forced == [len(HEADER) + 12 + 5]


def test_other_records_take_the_place_of_all_at_once(written, monkeypatch):
    journal = Journal(written)
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        with pytest.raises(OSError, match="full"):
            journal.replace([b"a"])
    assert read_journal(written) == RECORDS

    journal.replace([b"a", b"b"])
    journal.append(b"c")
    journal.close()
    assert read_journal(written) == [b"a", b"b", b"c"]
    assert {p.name for p in written.parent.iterdir()} == {"CHANGES", "CHANGES.lock"}


def test_the_second_writer_is_told_who_the_first_is(path, pytestconfig):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        cwd=pytestconfig.rootpath,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "holds\n"
        owner = rf"written by process {other.pid} on {socket.gethostname()} since 20.* UTC"
        with pytest.raises(JournalError, match=owner):
            Journal(path)
        other.kill()
        other.wait()
    Journal(path).close()


def test_what_was_closed_is_not_written_to(written):
    journal = Journal(written)
    journal.close()

    with pytest.raises(JournalError, match="closed"):
        journal.append(b"late")
