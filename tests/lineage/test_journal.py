import errno
import os
import random
import socket
import subprocess
import sys

import pytest

from lineage.journal import Journal, JournalError
from lineage.journal_records import HEADER, read_journal
from lineage.manifest import CorruptArtifactError

RECORDS = [b"first", b"", b"x" * 5000, "fünf".encode(), bytes(range(256))]
HOLD = """
import pathlib, sys, time
from lineage.journal import Journal
journal = Journal(pathlib.Path(sys.argv[1]))
print("locked", flush=True)
time.sleep(60)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "CHANGES"


@pytest.fixture
def written(path):
    """Path of a closed journal that holds `RECORDS`."""
    journal = Journal(path)
    for record in RECORDS:
        journal.append(record)
    journal.close()
    return path


def test_records_come_back_in_order(written):
    assert read_journal(written) == RECORDS


def test_a_missing_journal_has_no_records(path):
    assert read_journal(path) == []


def test_a_journal_cut_off_anywhere_keeps_the_whole_records_before_the_cut(written):
    whole = written.read_bytes()
    ends = [len(HEADER)]
    for record in RECORDS:
        ends.append(ends[-1] + 12 + len(record))
    for size in {*range(120), *range(len(whole) - 300, len(whole) + 1), *ends}:
        written.write_bytes(whole[:size])
        intact = RECORDS[: sum(end <= size for end in ends[1:])]

        assert read_journal(written) == intact
        journal = Journal(written)
        journal.append(b"next")
        journal.close()
        assert read_journal(written) == [*intact, b"next"]


def test_zeros_at_the_end_are_a_torn_tail(written):
    with written.open("ab") as file:
        file.write(bytes(4096))

    assert read_journal(written) == RECORDS


def test_a_changed_byte_before_the_last_record_is_refused_with_its_place(written):
    whole, rng = written.read_bytes(), random.Random(0)
    last = len(whole) - 12 - len(RECORDS[-1])
    for place in rng.sample(range(len(HEADER), last), 200):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.randrange(8)
        written.write_bytes(damaged)

        with pytest.raises(CorruptArtifactError, match=r"damaged from byte \d+ to \d+, record \d"):
            read_journal(written)
        with pytest.raises(CorruptArtifactError, match="damaged"):
            Journal(written)
        assert written.read_bytes() == damaged


def test_a_file_that_is_not_a_journal_is_refused_and_unchanged(path):
    path.write_text("this is not a journal")

    with pytest.raises(CorruptArtifactError, match="must begin with"):
        Journal(path)
    assert path.read_text() == "this is not a journal"


def full_after(free):
    """`os.write` of a disk with so many free bytes."""
    remaining, write = [free], os.write

    def limited_write(descriptor, content):
        fitting = bytes(content[: remaining[0]])
        remaining[0] -= len(fitting)
        if not fitting:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, fitting)

    return limited_write


@pytest.mark.parametrize("free", [0, 1, 11, 12, 100])
def test_a_disk_that_fills_during_a_write_leaves_the_journal_unchanged(written, monkeypatch, free):
    before, journal = written.read_bytes(), Journal(written)
    with monkeypatch.context() as disk:
        disk.setattr(os, "write", full_after(free))
        with pytest.raises(OSError, match="No space left"):
            journal.append(b"y" * 300)
    assert written.read_bytes() == before

    journal.append(b"after")
    journal.close()
    assert read_journal(written) == [*RECORDS, b"after"]


def test_after_a_write_that_cannot_be_undone_all_writes_are_refused(written, monkeypatch):
    journal = Journal(written)

    def refuse(*_):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="Input/output"):
            journal.append(b"lost")
    with pytest.raises(JournalError, match=r"cannot be written because a write failed .*Input"):
        journal.append(b"more")
    journal.close()


def test_every_record_is_synced_to_the_disk_before_it_is_acknowledged(path, monkeypatch):
    journal, synced, fsync = Journal(path), [], os.fsync

    def logged_fsync(descriptor):
        synced.append(os.fstat(descriptor).st_size)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", logged_fsync)
    journal.append(b"12345")
    journal.close()

    assert synced == [len(HEADER) + 12 + 5]


def test_replacing_records_is_atomic(written, monkeypatch):
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


def test_a_second_writer_is_refused_with_the_process_of_the_first(path, pytestconfig):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        cwd=pytestconfig.rootpath,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "locked\n"
        owner = rf"written by process {other.pid} on {socket.gethostname()} since 20.* UTC"
        with pytest.raises(JournalError, match=owner):
            Journal(path)
        other.kill()
        other.wait()
    Journal(path).close()


def test_a_closed_journal_refuses_records(written):
    journal = Journal(written)
    journal.close()

    with pytest.raises(JournalError, match="closed"):
        journal.append(b"late")


def test_a_replacement_whose_end_fails_leaves_a_journal_that_is_written_on(written, monkeypatch):
    """Such as by a folder that cannot be synced, or by too many open files."""
    journal = Journal(written)
    with monkeypatch.context() as failing:
        failing.setattr("lineage.journal.flush", lambda folder: os.listdir(folder / "missing"))
        with pytest.raises(FileNotFoundError):
            journal.replace([b"all"])

    journal.append(b"next")

    assert read_journal(written) == [b"all", b"next"]
    journal.close()
