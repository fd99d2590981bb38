"""The open files of an SQLite database, and whether they are still in place.

SQLite goes on writing into a file that was removed or replaced under it, and such a write is lost.
So every transaction compares the files in the folder with the opened ones, before and after.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from events.event_store import StoreError
from events.sqlite_schema import PATIENCE_SECONDS

SETTINGS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # a committed write is on the disk
    "PRAGMA secure_delete = ON",  # what is deleted is overwritten
)
PAUSE_SECONDS = 0.01
"""Time between two attempts to empty the log"""
WAL = "-wal"
SUFFIXES = ("", WAL, "-shm")


class MovedError(StoreError):
    """A file was removed, replaced or cut short while it was in use."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Device and inode of a file, and its size in bytes."""

    identity: tuple[int, int]
    size: int

    @classmethod
    def of(cls, path: Path, suffix: str) -> "Place | None":
        """Where a file is; None if it is missing."""
        try:
            found = os.stat(f"{path}{suffix}")
        except FileNotFoundError:
            return None
        return cls(identity=(found.st_dev, found.st_ino), size=found.st_size)


class SqliteFile:
    """One connection a thread to a database in one set of files."""

    def __init__(self, path: Path) -> None:
        """Open an existing database.

        Raises:
            StoreError: the files were removed meanwhile.
            sqlite3.Error: the file cannot be opened.
        """
        self.path = path
        self._own = threading.local()
        self._changed = threading.Condition()
        self._connections: list[sqlite3.Connection] = []
        self._working, self._closed, self._damaged, self._log = 0, False, False, -1
        keeper = self._connect()  # stays open, so that the companions stay in the folder
        keeper.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        self._places = dict[str, Place]()
        for suffix in SUFFIXES:
            place = Place.of(path, suffix)
            if place is None:
                self.close()
                raise MovedError(f"{path}{suffix} was removed while it was opened")
            self._places[suffix] = place
        self._log = os.open(f"{path}{WAL}", os.O_RDONLY)  # SQLite locks the other two alone

    @contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """The connection of this thread, in autocommit mode; it is not closed inside `with`.

        Raises:
            MovedError: the files are no longer in place; what was done inside may be lost.
            StoreError: the log was damaged, or the store was closed.
        """
        with self._changed:
            if self._closed:
                raise StoreError(f"{self.path} was closed")
            self._working += 1
        try:
            self.require_in_place()
            self._require_whole_log()
            yield self._connection()
            self.require_in_place()
            self._require_whole_log()
        finally:
            with self._changed:
                self._working -= 1
                self._changed.notify_all()

    def require_in_place(self) -> None:
        """Refuse to go on if a file is gone, another one, or shorter than it has been.

        Raises:
            MovedError: names the file.
        """
        for suffix, opened in self._places.items():
            now = Place.of(self.path, suffix)
            if now is None or now.identity != opened.identity:
                done = "removed" if now is None else "replaced"
                raise MovedError(f"{self.path}{suffix} was {done} while it was in use")
            if now.size < opened.size and suffix != WAL:  # emptying the log cuts it short
                raise MovedError(f"{self.path}{suffix} was cut short while it was in use")
            if now.size > opened.size:
                self._places[suffix] = now

    def require_own_log(self) -> None:
        """Refuse a file that was put in place of the opened one, beside the log of the opened one.

        SQLite would write the log into the file that it does not belong to.

        Raises:
            MovedError: names the log.
        """
        same = []
        for suffix in ("", WAL):
            now = Place.of(self.path, suffix)
            same.append(now is not None and now.identity == self._places[suffix].identity)
        if same == [False, True]:
            raise MovedError(
                f"{self.path}{WAL} belongs to the file that was there before; remove it too"
            )

    def empty_log(self) -> bool:
        """Move the log's content into the file and cut the log; False if a reader hinders for long.

        SQLite waits for readers and writers, but not for another checkpoint.
        """
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            with self.connected() as connection:
                (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy or time.monotonic() > end:
                return not busy
            time.sleep(PAUSE_SECONDS)

    def close(self) -> None:
        """Close all connections, once no thread uses them."""
        with self._changed:
            self._closed = True
            if not self._changed.wait_for(lambda: not self._working, PATIENCE_SECONDS):
                return  # closing a busy connection would crash; the end of the process closes it
            if not self._damaged:  # closing would copy the damaged log into the file
                for connection in self._connections:
                    connection.close()
                self._connections.clear()
            if self._log >= 0:
                os.close(self._log)
            self._log = -1

    def _require_whole_log(self) -> None:
        """Refuse a log with a hole: something else cut it short, and SQLite wrote behind the end.

        Raises:
            StoreError: names the log; every later call raises it too.
        """
        size = os.fstat(self._log).st_size
        with suppress(OSError):  # it was emptied meanwhile
            self._damaged = self._damaged or os.lseek(self._log, 0, os.SEEK_HOLE) < size
        if self._damaged:
            raise StoreError(
                f"{self.path}{WAL} was cut short while it was in use; restart, and bring "
                f"{self.path} back from a copy if it is damaged"
            )

    def _connection(self) -> sqlite3.Connection:
        """The connection of this thread to the files that are in place."""
        connection: sqlite3.Connection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._connect()
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            self.require_in_place()  # else it has opened others
            self._own.connection = connection
        return connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=rw",  # never creates the file
            uri=True,
            timeout=PATIENCE_SECONDS,
            isolation_level=None,
            check_same_thread=False,  # the thread that closes the store closes all
        )
        with self._changed:
            self._connections.append(connection)
        for setting in SETTINGS:
            connection.execute(setting).fetchall()
        return connection
