"""Stores events in one SQLite file, without a server."""

import logging
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from typing_extensions import override

from events.event import Outcome
from events.event_store import BATCH, Erasure, EventStore, Removed, Row, StoreError
from events.exposures.exposure_store import ExposureStore
from events.exposures.sqlite import SqliteExposures
from events.sqlite_file import MovedError, SqliteFile
from events.sqlite_schema import prepare
from lineage.locking import flush
from shortlist_client.api.event import Event

logger = logging.getLogger(__name__)
BATCH_END = """SELECT max(sequence) FROM
    (SELECT sequence FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?)"""
PRUNE = "DELETE FROM events WHERE sequence > ? AND sequence <= ? AND time < ?"
COLUMNS = "event_id, user_id, item_id, action, time, request_id, position"
ABOUT_USERS = ("events", "exposures")
"""Tables with ids of users"""
SOME_USERS = "SELECT DISTINCT user_id FROM {} WHERE user_id > ?1 ORDER BY user_id LIMIT ?2"
USERS = f"""SELECT * FROM ({SOME_USERS.format("events")}) UNION
    SELECT * FROM ({SOME_USERS.format("exposures")}) ORDER BY user_id LIMIT ?2"""


class SqliteStore(EventStore):
    """Writes one transaction at a time, each flushed to the disk; readers never wait.

    When its files are removed or replaced, it stores nothing until they are back.
    """

    def __init__(self, path: Path) -> None:
        """Open a file; create it if it is missing, bring it up to date if it is older.

        Raises:
            StoreError: the file cannot be opened or is no event store.
        """
        self._path = path
        self._reopening = threading.Lock()
        self._closed = False
        self._reason = ""
        with _named_errors(path):
            with suppress(FileExistsError):
                path.touch(exist_ok=False)
                flush(path.parent)
            prepare(path, create=True)
            self._file = SqliteFile(path)
        self._exposures = SqliteExposures(self._connected, self._transaction)

    @property
    @override
    def exposures(self) -> ExposureStore:
        return self._exposures

    @override
    def append(self, events: Sequence[Event], *, clients: Sequence[str] = ()) -> list[Outcome]:
        pairs = list(zip(events, clients or [""] * len(events), strict=True))
        with self._transaction() as connection:
            return [_append(connection, event, client) for event, client in pairs]

    @override
    def history(self, user_id: str, actions: Sequence[str], limit: int) -> list[Event]:
        marks = ", ".join("?" * len(actions))
        query = (
            "SELECT item_id, action, time, event_id FROM events INDEXED BY events_of_user "
            f"WHERE user_id = ? AND action IN ({marks}) ORDER BY time DESC, sequence DESC LIMIT ?"
        )
        with self._connected() as connection:
            rows = connection.execute(query, (user_id, *actions, limit)).fetchall()
        return [
            Event(user_id=user_id, item_id=item_id, action=action, time=time, event_id=event_id)
            for item_id, action, time, event_id in reversed(rows)
        ]

    @override
    def count(self) -> int:
        with self._connected() as connection:
            return int(connection.execute("SELECT count(*) FROM events").fetchone()[0])

    @override
    def prune(self, before: int) -> int:
        pruned = last = 0
        while True:
            with self._connected() as connection:
                (end,) = connection.execute(BATCH_END, (last, BATCH)).fetchone()
                if end is None:
                    break
                pruned += connection.execute(PRUNE, (last, end, before)).rowcount
            last = end
        if pruned:
            with _named_errors(self._path):
                self._file.empty_log()
        return pruned

    @override
    def scan(self) -> Iterator[Event]:
        return self._events("sequence > ?")

    @override
    def since(
        self, sequence: int, actions: Sequence[str], *, later_than: int
    ) -> Iterator[Sequence[Row]]:
        marks = ", ".join("?" * len(actions))
        query = (
            "SELECT sequence, user_id, item_id, action, time FROM events NOT INDEXED "
            f"WHERE sequence > ? AND time > ? AND action IN ({marks}) ORDER BY sequence LIMIT ?"
        )
        while True:
            with self._connected() as connection:
                rows = connection.execute(query, (sequence, later_than, *actions, BATCH)).fetchall()
            if not rows:
                return
            sequence = rows[-1][0]
            yield rows

    @override
    def export(self, user_id: str) -> Iterator[Event]:
        return self._events("sequence > ? AND user_id = ?", user_id)

    @override
    def erase(self, user_ids: Sequence[str], *, digest: str, at: int) -> Removed:
        given = [(user_id,) for user_id in user_ids]
        with self._transaction() as connection:
            removed = [
                connection.executemany(f"DELETE FROM {table} WHERE user_id = ?", given).rowcount
                for table in ABOUT_USERS
            ]
            connection.execute("INSERT INTO erased (digest, time) VALUES (?, ?)", (digest, at))
        self._empty_log()
        return Removed(*(max(count, 0) for count in removed))  # -1 without any id

    @override
    def erasures(self, after: int = 0) -> Sequence[Erasure]:
        query = "SELECT sequence, digest, time FROM erased WHERE sequence > ? ORDER BY sequence"
        with self._connected() as connection:
            rows = connection.execute(query, (after,)).fetchall()
        return [Erasure(sequence=n, digest=digest, time=time) for n, digest, time in rows]

    @override
    def rename(self, names: Mapping[str, str]) -> int:
        given = [(new, old) for old, new in names.items()]
        with self._transaction() as connection:
            renamed = [
                connection.executemany(
                    f"UPDATE {table} SET user_id = ? WHERE user_id = ?", given
                ).rowcount
                for table in ABOUT_USERS
            ]
            connection.executemany("UPDATE erased SET digest = ? WHERE digest = ?", given)
        self._empty_log()
        return sum(renamed)

    @override
    def users(self, after: str = "") -> Sequence[str]:
        with self._connected() as connection:
            return [row[0] for row in connection.execute(USERS, (after, BATCH))]

    @override
    def close(self) -> None:
        self._closed = True
        self._file.close()

    def _events(self, condition: str, *given: str) -> Iterator[Event]:
        """Events that fulfil a condition, whose first parameter is the last sequence number."""
        query = f"SELECT sequence, {COLUMNS} FROM events WHERE {condition} ORDER BY sequence LIMIT"
        last = 0
        while True:
            with self._connected() as connection:
                rows = connection.execute(f"{query} {BATCH}", (last, *given)).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            yield from (_event(row[1:]) for row in rows)

    def _empty_log(self) -> None:
        """Overwrite what the log holds of deleted rows.

        Raises:
            StoreError: another process reads the file; the rows are deleted, but still in the log.
        """
        with _named_errors(self._path):
            if not self._file.empty_log():
                raise StoreError(
                    f"{self._path}-wal still holds deleted rows, because another process reads it; "
                    "try again"
                )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """As `_connected`, in one transaction; it counts if this ends without an error."""
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """The connection of this thread to the files in place; opens files that were put back."""
        with _named_errors(self._path):
            self._require_in_place()
            with self._file.connected() as connection:
                yield connection

    def _require_in_place(self) -> None:
        """Open the files again if they were moved and are back; a missing one is not made anew.

        Raises:
            StoreError: the files are not back.
        """
        if self._closed:
            raise StoreError(f"{self._path} was closed")
        try:
            return self._file.require_in_place()
        except MovedError as error:
            reason = str(error)
        with self._reopening:
            with suppress(MovedError):
                return self._file.require_in_place()  # another thread was quicker
            if reason != self._reason:
                logger.error("%s: no event is stored until it is back", reason)
                self._reason = reason
            self._file.require_own_log()
            if not self._path.exists():
                raise StoreError(f"{reason}; bring it back, or restart the server for a new one")
            prepare(self._path, create=False)
            self._file.close()
            self._file, self._reason = SqliteFile(self._path), ""
        logger.warning("%s: opened again, events are stored", self._path)
        return None


def _append(connection: sqlite3.Connection, event: Event, client: str) -> Outcome:
    added = connection.execute(
        f"INSERT INTO events (client, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (client, event_id) DO NOTHING",
        (
            client,
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
    query = f"SELECT {COLUMNS} FROM events WHERE client = ? AND event_id = ?"
    stored = _event(connection.execute(query, (client, event.event_id)).fetchone())
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
