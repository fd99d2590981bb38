import os
import shutil

import pytest

from lineage.journal import JournalError, JournalHeldError
from lineage.journal_records import HEADER, framed, read_journal
from lineage.manifest import CorruptArtifactError
from serving.replication.journal_log import JournalLog


@pytest.fixture
def path(tmp_path):
    return tmp_path / "CHANGES"


@pytest.fixture
def opened(path):
    logs = []

    def opened():
        logs.append(JournalLog(path))
        return logs[-1]

    yield opened
    for log in logs:
        log.close()


@pytest.fixture
def writer(opened):
    """A writer of three records; `end` is their end."""
    writer = opened()
    writer.claim()
    writer.end = writer.read(None).position
    for record in (b"a", b"b", b"c"):
        writer.end = writer.append(record, after=writer.end)
    return writer


def test_a_second_process_follows_and_may_write_once_the_first_ends(writer, opened):
    second = opened()
    end = second.read(None).position

    with pytest.raises(JournalHeldError, match="written by process"):
        second.append(b"d", after=end)
    assert not second.claimed
    writer.close()
    assert second.append(b"d", after=end) is not None
    with pytest.raises(JournalHeldError, match="written by process"):
        writer.claim()


def test_reading_creates_no_file(opened, path):
    assert list(opened().read(None).records) == []
    assert not path.exists()


def test_a_record_that_is_being_written_is_not_read_yet(writer, opened, path):
    reader = opened()
    end = reader.read(None).position
    whole = path.read_bytes()
    writer.append(b"d" * 100, after=writer.end)
    longer = path.read_bytes()
    for size in (len(whole) + 1, len(whole) + 20, len(longer) - 1):
        os.truncate(path, 0)
        path.write_bytes(longer[:size])
        assert list(reader.read(end).records) == []
    path.write_bytes(longer)

    tail = reader.read(end)
    assert (list(tail.records), tail.whole) == ([b"d" * 100], False)


def test_a_torn_tail_is_not_read_again_and_again(writer, opened, path, monkeypatch):
    reader = opened()
    end = reader.read(None).position
    with path.open("ab") as file:
        file.write(bytes(50))
    assert list(reader.read(end).records) == []

    monkeypatch.setattr("serving.replication.journal_log.read_all", None)
    assert list(reader.read(end).records) == []


def test_a_record_that_was_undone_after_it_had_been_read_is_forgotten(writer, opened, path):
    reader, before = opened(), path.read_bytes()
    writer.append(b"undone", after=writer.end)
    end = reader.read(None).position
    os.truncate(path, len(before))

    tail = reader.read(end)

    assert (list(tail.records), tail.whole) == ([b"a", b"b", b"c"], True)
    path.write_bytes(before + before[20:])
    assert list(reader.read(tail.position).records) == [b"a", b"b", b"c"]


@pytest.mark.parametrize("size", [0, len(HEADER), len(HEADER) + 5])
def test_a_follower_of_a_journal_that_was_cut_keeps_what_it_knows_and_says_so(
    writer, opened, path, size
):
    follower, whole = opened(), path.read_bytes()
    end = follower.read(None).position
    os.truncate(path, size)

    for _ in range(2):
        with pytest.raises(JournalError, match="another program cut it"):
            follower.read(end)
    writer.close()
    assert follower.append(b"d", after=end) is None  # it could not follow from there either
    with pytest.raises(JournalError, match="another program cut it"):
        follower.read(end)

    path.write_bytes(whole)  # brought back
    assert list(opened().read(None).records) == [b"a", b"b", b"c"]


@pytest.mark.parametrize("more", [[], [b"f"]])
def test_a_record_in_place_of_an_undone_one_is_read_even_if_it_is_as_long(
    writer, opened, path, more
):
    follower = opened()
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(framed(b"undone"))
    seen = follower.read(None)
    os.truncate(path, size)
    for record in (b"stored", *more):
        writer.end = writer.append(record, after=writer.end)

    tail = follower.read(seen.position)

    assert (list(tail.records), tail.whole) == ([b"a", b"b", b"c", b"stored", *more], True)
    assert list(follower.read(tail.position).records) == []


def test_damage_is_reported_with_its_place(writer, opened, path):
    reader = opened()
    end = reader.read(None).position
    for record in (b"d" * 20, b"e"):
        writer.end = writer.append(record, after=writer.end)
    content = bytearray(path.read_bytes())
    content[end.place + 20] ^= 1
    path.write_bytes(content)

    with pytest.raises(CorruptArtifactError, match=rf"from byte {end.place} to \d+, record 4"):
        reader.read(end)


def test_a_removed_journal_is_written_again_with_all_records(writer, path, caplog):
    path.unlink()

    assert writer.append(b"d", after=writer.end) is None  # a reader looks again first
    end = writer.read(writer.end).position
    assert writer.append(b"d", after=end) is not None

    assert read_journal(path) == [b"a", b"b", b"c", b"d"]
    assert "was removed under this process; all of it is written again" in caplog.text
    assert {p.name for p in path.parent.iterdir()} == {"CHANGES", "CHANGES.lock"}


def test_a_journal_that_is_removed_during_a_write_is_whole_when_it_is_acknowledged(
    writer, path, monkeypatch
):
    fsync = os.fsync

    def removing(descriptor):
        fsync(descriptor)
        monkeypatch.setattr(os, "fsync", fsync)
        path.unlink()

    monkeypatch.setattr(os, "fsync", removing)
    assert writer.append(b"d", after=writer.end) is not None
    assert read_journal(path) == [b"a", b"b", b"c", b"d"]


def test_polling_puts_a_removed_journal_back(writer, path):
    path.unlink()

    writer.read(writer.end)

    assert read_journal(path) == [b"a", b"b", b"c"]


def test_a_follower_keeps_what_it_knows_of_a_removed_journal(writer, opened, path, caplog):
    reader = opened()
    end = reader.read(None).position
    path.unlink()

    for _ in range(3):
        tail = reader.read(end)
        assert (list(tail.records), tail.whole) == ([], False)
    assert caplog.text.count("was removed") == 1
    writer.read(writer.end)
    assert list(reader.read(end).records) == [b"a", b"b", b"c"]


def test_a_journal_in_its_place_is_neither_overwritten_nor_appended_to(writer, path, tmp_path):
    shutil.copy(path, tmp_path / "copy")
    writer.end = writer.append(b"d", after=writer.end)
    (tmp_path / "copy").replace(path)

    for _ in range(2):
        with pytest.raises(JournalError, match="no longer the file that this process writes"):
            writer.append(b"e", after=writer.end)
        with pytest.raises(JournalError, match="no longer the file that this process writes"):
            writer.replace([b"e"], after=writer.end)
    assert read_journal(path) == [b"a", b"b", b"c"]
    path.unlink()  # as the message says
    end = writer.read(writer.end).position
    assert writer.append(b"f", after=end) is not None
    assert read_journal(path) == [b"a", b"b", b"c", b"d", b"f"]


def test_a_refused_record_does_not_come_back(writer, path, tmp_path, monkeypatch):
    shutil.copy(path, tmp_path / "copy")
    fsync = os.fsync

    def restoring(descriptor):
        fsync(descriptor)
        monkeypatch.setattr(os, "fsync", fsync)
        (tmp_path / "copy").replace(path)

    monkeypatch.setattr(os, "fsync", restoring)
    with pytest.raises(JournalError, match="no longer the file"):
        writer.append(b"refused", after=writer.end)
    path.unlink()
    writer.read(writer.end)
    assert read_journal(path) == [b"a", b"b", b"c"]


@pytest.mark.parametrize("size", [0, 30])
def test_a_journal_that_another_program_cut_or_filled_is_refused(writer, path, size):
    os.truncate(path, size)

    with pytest.raises(JournalError, match=rf"must have \d+ bytes, got {size}: another program"):
        writer.append(b"d", after=writer.end)


def test_without_its_folder_no_change_is_acknowledged(writer, path, tmp_path):
    path.parent.rename(tmp_path.with_name("moved"))

    with pytest.raises(OSError, match="No such file"):
        writer.append(b"d", after=writer.end)
    tmp_path.with_name("moved").rename(tmp_path)
    assert writer.append(b"d", after=writer.end) is not None


def test_a_removed_lock_is_taken_again(writer, opened, path):
    (path.parent / "CHANGES.lock").unlink()

    assert writer.append(b"d", after=writer.end) is not None
    with pytest.raises(JournalHeldError):
        opened().claim()


def test_after_another_process_took_a_removed_lock_nothing_is_acknowledged(writer, opened, path):
    (path.parent / "CHANGES.lock").unlink()
    other = opened()
    other.claim()

    with pytest.raises(JournalHeldError):
        writer.append(b"d", after=writer.end)
    assert not writer.claimed
    end = other.read(None).position
    assert other.append(b"e", after=end) is not None
    assert list(writer.read(writer.end).records) == [b"e"]
