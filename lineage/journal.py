"""An append-only file of records: what was acknowledged is in it after any crash.

A record is a mark, its length, a CRC32 of length and content, and the content. Only the last write
can be cut off, so a broken record is a torn tail where nothing whole follows, and damage where
something does.

Errors:
    ArtifactError
        CorruptArtifactError: a record before the last is damaged, or the file is none of ours.
        JournalError: another process writes to it, or an earlier write left it in doubt.
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
    """Another process writes to the journal, or an earlier write left it in doubt."""


class Journal:
    """The one writer of a journal. Knows nothing of what its records mean."""

    def __init__(self, path: Path) -> None:
        """Become the writer of a journal, which is made where it is missing; drop a torn tail.

        Raises:
            JournalError: another process is; names it.
            CorruptArtifactError: the journal is damaged.
            OSError: the disk refuses.
        """
        self.path = path
        lock = path.with_name(f"{path.name}.lock")
        self._lock, owner = lock_file(lock)
        if self._lock is None:
            raise JournalError(f"{path} is being written by {owner}; stop it, or ask it to write")
        self._file, self._doubt = -1, ""
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def append(self, record: bytes) -> None:
        """Add a record, which is on the disk when this returns.

        Raises:
            OSError: it could not be written; the journal is as before.
            JournalError: an earlier failure could not be undone.
        """
        if self._doubt:
            raise JournalError(f"{self.path} is in doubt since {self._doubt}; start again")
        try:
            _write(self._file, _framed(record))
            os.fsync(self._file)
        except BaseException as error:
            self._undo(error)
            raise
        self._size = os.fstat(self._file).st_size

    def replace(self, records: Sequence[bytes]) -> None:
        """Take other records in place of all, at once.

        Raises:
            OSError: they could not be written; the journal is as before.
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
        before, self._file = self._file, -1  # it has no name any more
        os.close(before)
        flush(self.path.parent)
        self._open()

    def close(self) -> None:
        """Let others write."""
        for descriptor in (self._file, self._lock):
            if descriptor is not None and descriptor >= 0:
                os.close(descriptor)
        self._file, self._lock = -1, None
        self._doubt = "it was closed"

    def _open(self) -> None:
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        content = self.path.read_bytes()
        _, self._size = _parsed(self.path, content)
        if len(content) > self._size:
            logger.warning("%s ends in %d torn bytes", self.path, len(content) - self._size)
        os.ftruncate(self._file, self._size)
        if not self._size:
            _write(self._file, HEADER)
            self._size = len(HEADER)
        os.fsync(self._file)
        flush(self.path.parent)

    def _undo(self, error: BaseException) -> None:
        """Cut off what a failed write left; where that fails too, nobody knows what is there."""
        try:
            os.ftruncate(self._file, self._size)
            os.fsync(self._file)
        except OSError:
            self._doubt = f"a write failed ({error})"


def read_journal(path: Path) -> list[bytes]:
    """All whole records, oldest first; none where there is no journal. Anyone may read.

    Raises:
        CorruptArtifactError: a record before the last is damaged; names its place.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    return _parsed(path, content)[0]


def _parsed(path: Path, content: bytes) -> tuple[list[bytes], int]:
    """Whole records, and where the last one ends; 0 where not even the header is whole."""
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
    """The record that begins at a byte; None where no whole one does."""
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
    """Write all of it; the kernel may take less at a time."""
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
