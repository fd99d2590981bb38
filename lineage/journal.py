"""The writer of an append-only file of records; every acknowledged record survives a crash.

A record counts as written only while the folder holds the very file that has it. A file that
somebody removed is written again, whole, from the open descriptor. A file that somebody put in its
place is never overwritten.

Errors:
    ArtifactError
        CorruptArtifactError: a record before the last is damaged, or the file is not a journal.
        JournalError: the journal cannot be written; the message gives the reason.
            JournalHeldError: another process writes to it.
"""

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from lineage.journal_records import HEADER, framed, parsed, read_all, write_all
from lineage.locking import flush, is_at, lock_file
from lineage.manifest import ArtifactError

logger = logging.getLogger(__name__)


class JournalError(ArtifactError):
    """The journal cannot be written."""


class JournalHeldError(JournalError):
    """Another process writes to the journal."""


class Journal:
    """The only writer of a journal. Does not interpret its records."""

    def __init__(self, path: Path) -> None:
        """Lock the journal for writing, create it if it is missing, and cut off a torn tail.

        Raises:
            JournalHeldError: another process writes to it; the message names the process.
            CorruptArtifactError: the journal is damaged.
            OSError: the file cannot be opened or written.
        """
        self.path = path
        self._lock: int | None = None
        self._file, self._size, self._unusable = -1, 0, ""
        self._take_lock()
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    @property
    def end(self) -> int:
        """End of the last record, bytes."""
        return self._size

    def append(self, record: bytes) -> None:
        """Append a record; it is on the disk, in the folder, when this returns.

        Raises:
            OSError: the record could not be written; the journal is unchanged.
            JournalError: the journal is closed, the folder holds another file, or an earlier failed
                write could not be undone.
        """
        self.keep()
        try:
            write_all(self._file, framed(record))
            os.fsync(self._file)
            self._keep_in_folder()
        except BaseException as error:
            self._undo(error)
            raise
        self._size = os.fstat(self._file).st_size

    def replace(self, records: Sequence[bytes]) -> None:
        """Replace all records atomically.

        Raises:
            OSError: the records could not be written; the journal is unchanged.
            JournalError: as for `append`.
        """
        self.keep()
        partial = self._written([HEADER, *map(framed, records)])
        self._go_on_with(partial, lambda: partial.replace(self.path))

    def keep(self) -> None:
        """Check that the folder holds this very file; write it again if it was removed.

        Raises:
            JournalHeldError: the lock was removed, and another process has made its own.
            JournalError: the folder holds another file, other programs wrote to this one, or it
                cannot be written.
            OSError: the removed file could not be written again.
        """
        if self._unusable:
            raise JournalError(
                f"{self.path} cannot be written because {self._unusable}; restart the process"
            )
        assert self._lock is not None
        if not is_at(self._lock_path, self._lock):
            logger.warning("%s was removed or replaced", self._lock_path)
            self._take_lock()
        if (size := os.fstat(self._file).st_size) != self._size:
            raise JournalError(
                f"{self.path} must have {self._size} bytes, got {size}: another program wrote to "
                "it; stop this process and bring the file back from a copy"
            )
        self._keep_in_folder()

    def close(self) -> None:
        """Release the lock; other processes may write now."""
        for descriptor in (self._file, self._lock):
            if descriptor is not None and descriptor >= 0:
                os.close(descriptor)
        self._file, self._lock = -1, None
        self._unusable = "it was closed"

    @property
    def _lock_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.lock")

    def _take_lock(self) -> None:
        taken, owner = lock_file(self._lock_path)
        if taken is None:
            raise JournalHeldError(
                f"{self.path} is being written by {owner}; stop it, or send it the changes"
            )
        lost, self._lock = self._lock, taken
        if lost is not None:
            os.close(lost)

    def _open(self) -> None:
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        content = read_all(self._file)
        _, self._size = parsed(self.path, content)
        if len(content) > self._size:
            logger.warning("%s: cut off %d torn bytes", self.path, len(content) - self._size)
        os.ftruncate(self._file, self._size)
        if not self._size:
            write_all(self._file, HEADER)
            self._size = len(HEADER)
        os.fsync(self._file)
        flush(self.path.parent)

    def _keep_in_folder(self) -> None:
        if is_at(self.path, self._file):
            return
        partial = self._written([read_all(self._file)])
        try:
            # a link, unlike a rename, never overwrites
            self._go_on_with(partial, lambda: os.link(partial, self.path))
        except FileExistsError as error:
            raise JournalError(
                f"{self.path} is no longer the file that this process writes; restart the process "
                "to go on from the new file, or move that away to keep this process's changes"
            ) from error
        finally:
            partial.unlink(missing_ok=True)
        logger.warning("%s was removed under this process; all of it is written again", self.path)

    def _go_on_with(self, partial: Path, publish: Callable[[], object]) -> None:
        """Publish a file as the journal and write that from now on; or neither.

        It is opened before: afterwards, opening could fail or find what another program put there.
        """
        opened = os.open(partial, os.O_RDWR | os.O_APPEND)
        try:
            publish()
        except BaseException:
            os.close(opened)
            partial.unlink(missing_ok=True)
            raise
        former, self._file = self._file, opened
        self._size = os.fstat(opened).st_size
        os.close(former)
        flush(self.path.parent)

    def _written(self, parts: Sequence[bytes]) -> Path:
        """Write a file beside the journal; it is on the disk."""
        partial = self.path.with_name(f"{self.path.name}.partial")
        try:
            with partial.open("wb") as file:
                file.writelines(parts)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
        return partial

    def _undo(self, error: BaseException) -> None:
        """Cut off the bytes of a failed write; if that fails too, refuse all further writes."""
        try:
            os.ftruncate(self._file, self._size)
            os.fsync(self._file)
        except OSError:
            self._unusable = f"a write failed ({error})"
