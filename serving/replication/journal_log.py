"""A change log in a journal file: one process writes, others on the same folder follow."""

import logging
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

from typing_extensions import override

from lineage.journal import Journal, JournalError, JournalHeldError
from lineage.journal_records import HEADER, framed, parsed, parsed_tail, read_all
from lineage.locking import is_at
from lineage.manifest import CorruptArtifactError
from serving.replication.protocol import ChangeLog, Position, Tail

logger = logging.getLogger(__name__)
POLL_SECONDS = 0.25
"""Longest time until a follower notices a record."""
LAST_BYTES = 64
"""How much of the file a follower compares with what it has read"""


class JournalLog(ChangeLog):
    """Follows the file at a path, whichever it is, and writes it once nobody else does.

    The file that was read last stays open. So the number of its inode is not used again, and a
    generation tells every other file apart.
    """

    def __init__(self, path: Path) -> None:
        """Take the path of the journal; it need not exist."""
        self.path = path
        self._lock = threading.RLock()
        self._writer: Journal | None = None
        self._file, self._generation = -1, 0
        self._missing = False
        self._close_file: Callable[[], object] = lambda: None
        self._fruitless: tuple[Position, int] | None = None
        self._last: tuple[Position, bytes] | None = None
        self._last_record = Position(-1, 0)  # where it begins

    @override
    def claim(self) -> bool:
        with self._lock:
            if self._writer is not None:
                return False
            self._writer = Journal(self.path)
            return True

    @property
    @override
    def claimed(self) -> bool:
        return self._writer is not None

    @override
    def read(self, after: Position | None) -> Tail:
        with self._lock:
            self._keep()
            self._open_newest()
            if self._file < 0 or (self._missing and after is not None):
                known = after or Position(self._generation, 0)
                return Tail((), known, whole=after is None)
            if after is not None:
                self._require_length(after)
                self._notice_rewriting(after)
            tail = self._tail(after)
            if tail.records or tail.whole:
                last = framed(tail.records[-1]) if tail.records else b""
                start = tail.position.place - len(last)
                self._last_record = Position(tail.position.generation, start)
            self._last = tail.position, self._bytes_before(tail.position)
            return tail

    @override
    def append(self, record: bytes, after: Position) -> Position | None:
        return self._write(lambda writer: writer.append(record), after)

    @override
    def replace(self, records: Sequence[bytes], after: Position) -> Position | None:
        return self._write(lambda writer: writer.replace(records), after)

    @override
    def wait(self, seconds: float, stopped: threading.Event) -> None:
        stopped.wait(min(seconds, POLL_SECONDS))

    @override
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @override
    def close(self) -> None:
        with self._lock:
            if self._writer is not None:
                self._writer.close()
            self._close_file()
            self._writer, self._file = None, -1

    def _write(self, work: Callable[[Journal], None], after: Position) -> Position | None:
        """The end after some work of the writer; None if the end was not at `after`."""
        with self._lock:
            self.claim()
            self._keep()
            if self._end() != after:
                return None
            assert self._writer is not None
            work(self._writer)
            return self._end()

    def _keep(self) -> None:
        """Let the writer keep its file in the folder; stop writing if another process does."""
        if self._writer is None:
            return
        try:
            self._writer.keep()
        except JournalHeldError:
            self._writer.close()
            self._writer = None
            raise

    def _open_newest(self) -> None:
        """Open the file at the path, unless it is the open one or missing."""
        if self._file >= 0 and is_at(self.path, self._file):
            self._missing = False
            return
        try:
            newest = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            if self._file >= 0 and not self._missing:
                logger.warning("%s was removed; what it held stays in force", self.path)
            self._missing = True
            return
        self._close_file()
        self._file, self._missing = newest, False
        self._close_file = weakref.finalize(self, os.close, newest)
        self._generation += 1

    def _tail(self, after: Position | None) -> Tail:
        size = os.fstat(self._file).st_size
        if after is not None and after.generation == self._generation:
            if after.place == size or self._fruitless == (after, size):
                return Tail((), after, whole=False)
            if len(HEADER) <= after.place < size and (news := self._news(after)) is not None:
                return news
        records, end = parsed(self.path, read_all(self._file))
        if after == Position(self._generation, end):
            self._fruitless = after, size  # a torn tail, or a record that is being written
            return Tail((), after, whole=False)
        if after is not None and after.generation == self._generation and end < after.place:
            self._generation += 1  # somebody cut it: older places mean nothing any more
        return Tail(records, Position(self._generation, end), whole=True)

    def _require_length(self, after: Position) -> None:
        """Refuse a file that lost more than a writer undoes: its last record, if writing failed."""
        size = os.fstat(self._file).st_size
        last = self._last_record
        if after.generation == self._generation == last.generation and size < last.place:
            raise JournalError(
                f"{self.path} must have {after.place} bytes as before, got {size}: another program "
                "cut it; stop its writer, bring it back from a copy and restart the servers"
            )

    def _notice_rewriting(self, after: Position) -> None:
        """Count a new generation if the record before a position is another one than was read.

        Such as when a write failed, was undone, and one of the same length was made.
        """
        if self._last is not None and self._last[0] == after:
            if self._last[1] == self._bytes_before(after):
                return
            logger.warning("%s was cut or written anew: it is read from its start", self.path)
            self._generation += 1

    def _bytes_before(self, position: Position) -> bytes:
        """The last bytes before a position; they tell records apart, which hold their time."""
        length = min(LAST_BYTES, position.place)
        return os.pread(self._file, length, position.place - length)

    def _news(self, after: Position) -> Tail | None:
        """The records after a position; None where no whole record begins."""
        try:
            content = read_all(self._file, after.place)
            records, read = parsed_tail(self.path, content, after.place)
        except CorruptArtifactError:  # perhaps a failed write was undone after it had been read
            return None
        end = Position(self._generation, after.place + read)
        return Tail(records, end, whole=False) if records else None

    def _end(self) -> Position:
        assert self._writer is not None
        self._open_newest()
        return Position(self._generation, self._writer.end)
