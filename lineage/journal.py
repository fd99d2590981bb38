"""An append-only file of records; every acknowledged record survives a crash.

A record is a mark, its length, a CRC32 of length and content, and the content. Only the last write
can be cut off. So a broken record is a torn tail if no whole record follows, and damage otherwise.

Errors:
    ArtifactError
        CorruptArtifactError: a record before the last is damaged, or the file is not a journal.
        JournalError: another process writes to the journal, or an earlier write failed.
"""

import logging
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

from lineage.locking import flush, lock_file
from lineage.manifest import ArtifactError, CorruptArtifactError

logger = logging.getLogger(__name__)
HEADER = b"shortlist journal 1\n"
MARK = b"\xf5REC"
_FRAME = struct.Struct("<4sII")


class JournalError(ArtifactError):
    """Another process writes to the journal, or an earlier write failed and left it unusable."""


class Journal:
    """The only writer of a journal. Does not interpret its records."""

    def __init__(self, path: Path) -> None:
        """Lock the journal for writing, create it if it is missing, and cut off a torn tail.

        Raises:
            JournalError: another process writes to it; the message names the process.
            CorruptArtifactError: the journal is damaged.
            OSError: the file cannot be opened or written.
        """
        self.path = path
        lock = path.with_name(f"{path.name}.lock")
        self._lock, owner = lock_file(lock)
        if self._lock is None:
            raise JournalError(
                f"{path} is being written by {owner}; stop it, or send it the changes"
            )
        self._file, self._unusable = -1, ""
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def append(self, record: bytes) -> None:
        """Append a record; it is on the disk when this returns.

        Raises:
            OSError: the record could not be written; the journal is unchanged.
            JournalError: the journal is closed, or an earlier failed write could not be undone.
        """
        if self._unusable:
            raise JournalError(
                f"{self.path} cannot be written because {self._unusable}; restart the process"
            )
        try:
            _write(self._file, _framed(record))
            os.fsync(self._file)
        except BaseException as error:
            self._undo(error)
            raise
        self._size = os.fstat(self._file).st_size

    def replace(self, records: Sequence[bytes]) -> None:
        """Replace all records atomically.

        Raises:
            OSError: the records could not be written; the journal is unchanged.
        """
        partial = self.path.with_name(f"{self.path.name}.partial")
        try:
            with partial.open("wb") as file:
                file.write(HEADER)
                file.writelines(_framed(record) for record in records)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        replaced, self._file = self._file, -1
        os.close(replaced)
        flush(self.path.parent)
        self._open()

    def close(self) -> None:
        """Release the lock; other processes may write now."""
        for descriptor in (self._file, self._lock):
            if descriptor is not None and descriptor >= 0:
                os.close(descriptor)
        self._file, self._lock = -1, None
        self._unusable = "it was closed"

    def _open(self) -> None:
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        content = self.path.read_bytes()
        _, self._size = _parsed(self.path, content)
        if len(content) > self._size:
            logger.warning("%s: cut off %d torn bytes", self.path, len(content) - self._size)
        os.ftruncate(self._file, self._size)
        if not self._size:
            _write(self._file, HEADER)
            self._size = len(HEADER)
        os.fsync(self._file)
        flush(self.path.parent)

    def _undo(self, error: BaseException) -> None:
        """Cut off the bytes of a failed write; if that fails too, refuse all further writes."""
        try:
            os.ftruncate(self._file, self._size)
            os.fsync(self._file)
        except OSError:
            self._unusable = f"a write failed ({error})"


def read_journal(path: Path) -> list[bytes]:
    """All whole records, oldest first; none where there is no journal. Needs no lock.

    Raises:
        CorruptArtifactError: a record before the last is damaged; the message names its bytes.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    return _parsed(path, content)[0]


def _parsed(path: Path, content: bytes) -> tuple[list[bytes], int]:
    """Whole records, and the end of the last one in bytes; 0 where the header is incomplete."""
    if content[: len(HEADER)] != HEADER:
        if HEADER.startswith(content):
            return [], 0
        raise CorruptArtifactError(f"{path} must begin with {HEADER!r}, got {content[:20]!r}")
    records, place = [], len(HEADER)
    while (record := _record_at(content, place)) is not None:
        records.append(record)
        place += _FRAME.size + len(record)
    following = content.find(MARK, place + 1)
    while following >= 0:
        if _record_at(content, following) is not None:
            raise CorruptArtifactError(
                f"{path} is damaged from byte {place} to {following}, record {len(records) + 1}; "
                "bring it back from a copy, or move it away to go on without its changes"
            )
        following = content.find(MARK, following + 1)
    return records, place


def _record_at(content: bytes, place: int) -> bytes | None:
    """The record that begins at a byte; None where no whole record does."""
    if len(content) - place < _FRAME.size:
        return None
    mark, length, crc = _FRAME.unpack_from(content, place)
    start = place + _FRAME.size
    record = content[start : start + length]
    whole = mark == MARK and len(record) == length and _crc(record) == crc
    return record if whole else None


def _framed(record: bytes) -> bytes:
    return _FRAME.pack(MARK, len(record), _crc(record)) + record


def _crc(record: bytes) -> int:
    return zlib.crc32(record, zlib.crc32(len(record).to_bytes(4, "little")))


def _write(descriptor: int, content: bytes) -> None:
    """Write all bytes; one call of `os.write` may write fewer."""
    remaining = memoryview(content)
    while remaining:
        remaining = remaining[os.write(descriptor, remaining) :]
