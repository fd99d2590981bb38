"""A change log in a table of PostgreSQL, which several servers share."""

import logging
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, LiteralString

import psycopg
from typing_extensions import override

from events.postgresql_connection import PATIENCE_SECONDS, Connection, cut_off_after
from serving.replication.postgresql_session import Session, connect
from serving.replication.protocol import ChangeLog, LogUnavailableError, Position, Tail

logger = logging.getLogger(__name__)
POLL_SECONDS = 0.5
"""Longest time until a record is noticed whose notification got lost."""
LOCK = 0x53484C46
"""Key of the advisory lock that is held while the table is created."""
SCHEMA: LiteralString = """CREATE TABLE IF NOT EXISTS item_changes (
    position bigint PRIMARY KEY,
    token bigint NOT NULL,
    record bytea NOT NULL
)"""
FIRST: LiteralString = """INSERT INTO item_changes
SELECT 0, %s, '' WHERE NOT EXISTS (SELECT FROM item_changes)"""
LAST: LiteralString = "SELECT position, token FROM item_changes ORDER BY position DESC LIMIT 1"
READ: LiteralString = """
SELECT position, token, record FROM (
    SELECT *, sum(octet_length(record)) OVER (ORDER BY position) - octet_length(record) AS before
    FROM (SELECT position, token, CASE WHEN position > %(after)s THEN record ELSE '' END AS record
        FROM item_changes WHERE position >= %(after)s ORDER BY position LIMIT %(rows)s) AS portion
    ) AS measured
WHERE before <= %(bytes)s ORDER BY position"""
PORTION: Mapping[str, int] = MappingProxyType({"rows": 1_000, "bytes": 1 << 24})
"""Rows of one query, at most, and bytes of all but the last"""
BYTES_A_SECOND = 4e6
"""Slowest writing of a replacement that is waited for"""
NOTIFY: LiteralString = "SELECT pg_notify('shortlist_item_changes', '')"
LISTEN: LiteralString = "LISTEN shortlist_item_changes"
APPEND: LiteralString = """
WITH added AS (
    INSERT INTO item_changes
    SELECT %(place)s, %(token)s, %(record)s
    WHERE EXISTS (SELECT FROM (SELECT position, token FROM item_changes
        ORDER BY position DESC LIMIT 1) AS last WHERE (position, token) = (%(after)s, %(seen)s))
    ON CONFLICT (position) DO NOTHING RETURNING position)
SELECT position, pg_notify('shortlist_item_changes', '') FROM added"""
STORED: LiteralString = "SELECT FROM item_changes WHERE position = %s AND token = %s"
EXCLUSIVE: LiteralString = "LOCK TABLE item_changes IN EXCLUSIVE MODE"
DELETE: LiteralString = "DELETE FROM item_changes"
INSERT: LiteralString = "INSERT INTO item_changes VALUES (%s, %s, %s)"
SIZE: LiteralString = "SELECT coalesce(sum(octet_length(record)), 0)::bigint FROM item_changes"


class PostgresqlLog(ChangeLog):
    """Every record has the next position, so the primary key lets one server append at a time.

    Who appends has read the record before. So records become visible in the order of their
    positions, without gaps, and no client holds a lock while it thinks. A replacement goes on
    counting, and everything before it is gone: a reader whose last record is gone reads all. Tokens
    are random: they tell a reader of a restored database that its place is another one now.
    """

    def __init__(self, address: str) -> None:
        """Connect, and create the table if it is missing.

        Raises:
            LogUnavailableError: the server is unreachable or refuses.
        """
        self._address, self._session = address, Session(address)
        self._listening: Connection | None = None
        self._claimed, self._size = False, 0
        self.on_close: Callable[[], object] = lambda: None
        """Called by `close`"""
        self._session.call(_prepare)

    @override
    def claim(self) -> bool:
        claimed, self._claimed = self._claimed, True
        return not claimed

    @property
    @override
    def claimed(self) -> bool:
        return self._claimed

    @property
    def untouched(self) -> bool:
        """Whether nobody has ever appended or replaced a record."""
        return self._session.call(lambda connection: _last(connection).place) == 0

    @override
    def read(self, after: Position | None) -> Tail:
        """As in the protocol; in portions, so that none takes long, however long the log is."""
        records, whole, position = list[bytes](), after is None, after
        while True:
            tail = self._session.call(lambda connection: _read(connection, position))  # noqa: B023  # called at once
            if tail.whole:  # at first, or replaced between two portions
                records, whole = [], True
            records += tail.records
            if tail.position == position:
                return Tail(records, tail.position, whole=whole)
            position = tail.position

    @override
    def append(self, record: bytes, after: Position) -> Position | None:
        place, token = after.place + 1, secrets.randbits(63)
        given = {"place": place, "token": token, "record": record}
        given |= {"after": after.place, "seen": after.generation}

        def work(connection: Connection) -> bool:
            if connection.execute(APPEND, given).fetchone() is not None:
                return True
            # an earlier try may have been committed without an answer
            return connection.execute(STORED, (place, token)).fetchone() is not None

        return Position(token, place) if self._session.call(work) else None

    @override
    def replace(self, records: Sequence[bytes], after: Position) -> Position | None:
        return self._session.call(
            lambda connection: _replace(connection, records, after),
            seconds=PATIENCE_SECONDS + sum(map(len, records)) / BYTES_A_SECOND,
        )

    @override
    def wait(self, seconds: float, stopped: threading.Event) -> None:
        """As in the protocol; for one thread. Polls where notifications do not come through."""
        try:
            if self._listening is None:
                self._listening = connect(self._address)
                with cut_off_after(PATIENCE_SECONDS, self._listening):
                    self._listening.execute(LISTEN)
                return  # what came before the subscription is read now
            if not stopped.is_set():
                for _ in self._listening.notifies(timeout=min(seconds, POLL_SECONDS), stop_after=1):
                    pass
        except psycopg.Error:
            self._stop_listening()
            stopped.wait(min(seconds, POLL_SECONDS))

    @override
    def size(self) -> int:
        with suppress(LogUnavailableError):
            self._size = self._session.call(lambda c: int(_one(c.execute(SIZE).fetchone())[0]))
        return self._size

    @override
    def close(self) -> None:
        self._stop_listening()
        self._session.close()
        self.on_close()

    def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.close()
        self._listening = None


def _prepare(connection: Connection) -> None:
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        connection.execute(SCHEMA)
        connection.execute(FIRST, (secrets.randbits(63),))


def _last(connection: Connection) -> Position:
    place, token = _one(connection.execute(LAST).fetchone())
    return Position(token, place)


def _read(connection: Connection, after: Position | None) -> Tail:
    rows = _rows_after(connection, -1 if after is None else after.place)
    whole = after is None or not rows or rows[0][:2] != (after.place, after.generation)
    if whole and after is not None:
        rows = _rows_after(connection, -1)
    first = 0 if whole else 1
    if not rows:
        raise psycopg.DataError("the table item_changes was emptied")
    position = Position(rows[-1][1], rows[-1][0])
    if whole and after is not None and rows[0][0] <= after.place:
        logger.warning(
            "the table item_changes is not the one of before: it was made anew or restored from a "
            "copy; changes that it does not have are in force no more"
        )
    return Tail([row[2] for row in rows[first:] if row[2]], position, whole=whole)


def _rows_after(connection: Connection, place: int) -> list[tuple[Any, ...]]:
    return connection.execute(READ, {"after": place, **PORTION}, binary=True).fetchall()


def _replace(connection: Connection, records: Sequence[bytes], after: Position) -> Position | None:
    rows = [
        (after.place + number, secrets.randbits(63), record)
        for number, record in enumerate(records or [b""], 1)
    ]
    with connection.transaction():
        connection.execute(EXCLUSIVE)  # waits for appends, and keeps others out
        if _last(connection) != after:
            return None
        connection.execute(DELETE)
        connection.cursor().executemany(INSERT, rows)
        connection.execute(NOTIFY)
    return Position(rows[-1][1], rows[-1][0])


def _one(row: tuple[Any, ...] | None) -> tuple[Any, ...]:
    if row is None:
        raise psycopg.DataError("the table item_changes was emptied")
    return row
