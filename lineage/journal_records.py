"""Frames the records of a journal, and reads them back.

A record is a mark, its length, a CRC32 of length and content, and the content. Only the last write
can be cut off. So a broken record is a torn tail if no whole record follows, and damage otherwise.
"""

import os
import struct
import zlib
from pathlib import Path

from lineage.manifest import CorruptArtifactError

HEADER = b"shortlist journal 1\n"
MARK = b"\xf5REC"
_FRAME = struct.Struct("<4sII")


def framed(record: bytes) -> bytes:
    """The bytes of a record in a journal."""
    return _FRAME.pack(MARK, len(record), _crc(record)) + record


def read_journal(path: Path) -> list[bytes]:
    """All whole records, oldest first; none where there is no journal. Needs no lock.

    Raises:
        CorruptArtifactError: a record before the last is damaged; the message names its bytes.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    return parsed(path, content)[0]


def parsed(path: Path, content: bytes) -> tuple[list[bytes], int]:
    """Whole records, and the end of the last one in bytes; 0 where the header is incomplete.

    Raises:
        CorruptArtifactError: a record before the last is damaged, or this is no journal.
    """
    if content[: len(HEADER)] != HEADER:
        if HEADER.startswith(content):
            return [], 0
        raise CorruptArtifactError(f"{path} must begin with {HEADER!r}, got {content[:20]!r}")
    records, size = parsed_tail(path, content[len(HEADER) :], len(HEADER))
    return records, len(HEADER) + size


def parsed_tail(path: Path, content: bytes, start: int) -> tuple[list[bytes], int]:
    """Whole records of the bytes that follow a record or the header, and their size in bytes.

    Args:
        path: Path of the journal, for messages.
        content: All bytes from `start` on.
        start: Place of the first byte in the journal.

    Raises:
        CorruptArtifactError: a record before the last is damaged.
    """
    records, place = list[bytes](), 0
    while (record := _record_at(content, place)) is not None:
        records.append(record)
        place += _FRAME.size + len(record)
    following = content.find(MARK, place + 1)
    while following >= 0:
        if _record_at(content, following) is not None:
            raise CorruptArtifactError(
                f"{path} is damaged from byte {start + place} to {start + following}, record "
                f"{len(records) + 1}; bring it back from a copy, or move it away to go on without "
                "its changes"
            )
        following = content.find(MARK, following + 1)
    return records, place


def read_all(descriptor: int, start: int = 0) -> bytes:
    """All bytes of a file from a place on; leaves the descriptor's own place."""
    parts = []
    while part := os.pread(descriptor, 1 << 24, start):
        parts.append(part)
        start += len(part)
    return b"".join(parts)


def write_all(descriptor: int, content: bytes) -> None:
    """Write all bytes; one call of `os.write` may write fewer."""
    remaining = memoryview(content)
    while remaining:
        remaining = remaining[os.write(descriptor, remaining) :]


def _record_at(content: bytes, place: int) -> bytes | None:
    """The record that begins at a byte; None where no whole record does."""
    if len(content) - place < _FRAME.size:
        return None
    mark, length, crc = _FRAME.unpack_from(content, place)
    start = place + _FRAME.size
    record = content[start : start + length]
    whole = mark == MARK and len(record) == length and _crc(record) == crc
    return record if whole else None


def _crc(record: bytes) -> int:
    return zlib.crc32(record, zlib.crc32(len(record).to_bytes(4, "little")))
