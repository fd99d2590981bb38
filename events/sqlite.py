"""Stores events in one SQLite file, without a server."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from typing_extensions import override

from events.event import Outcome
from events.event_store import BATCH, EventStore, StoreError
from lineage.locking import flush
from shortlist_client.api.event import Event

APPLICATION = 0x53484C45
"""SQLite application id that marks the file as an event store."""
VERSION = 1
PATIENCE_SECONDS = 10.0
"""Longest wait for another process that writes."""
SCHEMA = f"""
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    action TEXT NOT NULL,
    time INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    position INTEGER
) STRICT;
CREATE INDEX events_of_user ON events (user_id, action, time, sequence, item_id, event_id);
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
"""
BATCH_END = """SELECT max(sequence) FROM
    (SELECT sequence FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?)"""
PRUNE = "DELETE FROM events WHERE sequence > ? AND sequence <= ? AND time < ?"
COLUMNS = "event_id, user_id, item_id, action, time, request_id, position"


class SqliteStore(EventStore):
    """Writes one transaction at a time, each flushed to the disk; readers never wait."""

    def __init__(self, path: Path) -> None:
        """Open a file; create it if it is missing.

        Raises:
            StoreError: the file cannot be opened or is no event store.
        """
        self._path = path
        self._own = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._changed = threading.Condition()
        self._working = 0
        self._closed = False
        with _named_errors(path):
            with suppress(FileExistsError):
                path.touch(exist_ok=False)
                flush(path.parent)
            _prepare(path)

    @override
    def append(self, events: Sequence[Event]) -> list[Outcome]:
        with _named_errors(self._path), self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                outcomes = [_append(connection, event) for event in events]
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
        return outcomes

    @override
    def history(self, user_id: str, actions: Sequence[str], limit: int) -> list[Event]:
        marks = ", ".join("?" * len(actions))
        query = (
            "SELECT item_id, action, time, event_id FROM events INDEXED BY events_of_user "
            f"WHERE user_id = ? AND action IN ({marks}) ORDER BY time DESC, sequence DESC LIMIT ?"
        )
        with _named_errors(self._path), self._connected() as connection:
            rows = connection.execute(query, (user_id, *actions, limit)).fetchall()
        return [
            Event(user_id=user_id, item_id=item_id, action=action, time=time, event_id=event_id)
            for item_id, action, time, event_id in reversed(rows)
        ]

    @override
    def count(self) -> int:
        with _named_errors(self._path), self._connected() as connection:
            return int(connection.execute("SELECT count(*) FROM events").fetchone()[0])

    @override
    def prune(self, before: int) -> int:
        pruned = last = 0
        while True:
            with _named_errors(self._path), self._connected() as connection:
                (end,) = connection.execute(BATCH_END, (last, BATCH)).fetchone()
                if end is None:
                    return pruned
                pruned += connection.execute(PRUNE, (last, end, before)).rowcount
            last = end

    @override
    def scan(self) -> Iterator[Event]:
        query = f"SELECT sequence, {COLUMNS} FROM events WHERE sequence > ? ORDER BY sequence LIMIT"
        last = 0
        while True:
            with _named_errors(self._path), self._connected() as connection:
                rows = connection.execute(f"{query} {BATCH}", (last,)).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            yield from (_event(row[1:]) for row in rows)

    @override
    def close(self) -> None:
        with self._changed:
            self._closed = True
            if not self._changed.wait_for(lambda: not self._working, PATIENCE_SECONDS):
                return  # closing a busy connection would crash; the end of the process closes it
            for connection in self._connections:
                connection.close()
            self._connections.clear()

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """The connection of this thread; it is not closed inside `with`."""
        with self._changed:
            if self._closed:
                raise StoreError(f"{self._path} was closed")
            self._working += 1
        try:
            yield self._connection()
        finally:
            with self._changed:
                self._working -= 1
                self._changed.notify_all()

    def _connection(self) -> sqlite3.Connection:
        """The connection of this thread; a committed write is on the disk."""
        connection: sqlite3.Connection | None = getattr(self._own, "connection", None)
        if connection is not None:
            return connection
        with self._changed:
            connection = sqlite3.connect(
                self._path,
                timeout=PATIENCE_SECONDS,
                isolation_level=None,
                check_same_thread=False,  # the thread that closes the store closes all
            )
            self._connections.append(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        self._own.connection = connection
        return connection


def _prepare(path: Path) -> None:
    """Create the table in an empty file; refuse any other file that is no event store."""
    with closing(
        sqlite3.connect(path, timeout=PATIENCE_SECONDS, isolation_level=None)
    ) as connection:
        connection.execute("BEGIN IMMEDIATE")
        if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            for statement in filter(str.strip, SCHEMA.split(";")):
                connection.execute(statement)
        marks = [
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("application_id", "user_version")
        ]
        connection.execute("COMMIT")
    if marks != [APPLICATION, VERSION]:
        raise StoreError(
            f"{path} must be an event store of version {VERSION}, got another SQLite file"
        )


def _append(connection: sqlite3.Connection, event: Event) -> Outcome:
    added = connection.execute(
        f"INSERT INTO events ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (event_id) DO NOTHING",
        (
            event.event_id,
            event.user_id,
            event.item_id,
            event.action,
            event.time,
            event.request_id,
            event.position,
        ),
    )
    if added.rowcount:
        return Outcome.RECORDED
    query = f"SELECT {COLUMNS} FROM events WHERE event_id = ?"
    stored = _event(connection.execute(query, (event.event_id,)).fetchone())
    return Outcome.REPEATED if event.is_again(stored) else Outcome.CONFLICT


def _event(row: tuple[str, str, str, str, int, str, int | None]) -> Event:
    event_id, user_id, item_id, action, time, request_id, position = row
    return Event(
        event_id=event_id,
        user_id=user_id,
        item_id=item_id,
        action=action,
        time=time,
        request_id=request_id,
        position=position,
    )


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """Raise errors of SQLite and of the disk as StoreError that names the file."""
    try:
        yield
    except (sqlite3.Error, OSError, OverflowError) as error:
        raise StoreError(f"{path} cannot store events: {error}") from error
