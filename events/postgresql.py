"""Stores events in PostgreSQL, for several servers."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, LiteralString, TypeVar

from typing_extensions import override

from events.event import Outcome
from events.event_store import BATCH, Erasure, EventStore, Removed, Row, StoreError
from events.exposures.exposure_store import ExposureStore
from shortlist_client.api.event import Event

try:
    import psycopg
    from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

    from events.exposures.postgresql import PostgresqlExposures
    from events.postgresql_connection import (
        PARAMETERS,
        PATIENCE_SECONDS,
        Connection,
        cut_off_after,
    )
    from events.postgresql_schema import prepare
except ImportError as missing:
    raise StoreError(
        f"PostgreSQL needs the extra `postgresql`: `pip install '.[postgresql]'` ({missing})"
    ) from missing

T = TypeVar("T")
Key = tuple[str, str]
"""Client and id of an event"""
CONNECTIONS = 4
LONG_SECONDS = 600.0
"""Longest wait for an answer about many rows."""
CHECK_SECONDS = 1.0
"""Longest wait for an answer of a connection that may have broken with another one."""
TRIES = 3
"""Attempts at a transaction whose connection broke or that the server aborted."""
APPEND: LiteralString = """
INSERT INTO events (client, event_id, user_id, item_id, action, time, request_id, position)
SELECT o, a, b, c, d, e, f, g FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[],
    %s::text[], %s::bigint[], %s::text[], %s::integer[])
    WITH ORDINALITY AS rows (o, a, b, c, d, e, f, g, place)
ORDER BY place ON CONFLICT (client, event_id) DO NOTHING RETURNING client, event_id"""
NAMES = ("event_id", "user_id", "item_id", "action", "time", "request_id", "position")
STORED: LiteralString = """
SELECT client, event_id, user_id, item_id, action, time, request_id, position FROM events
WHERE (client, event_id) IN (SELECT * FROM unnest(%s::text[], %s::text[]))"""
HISTORY: LiteralString = """
SELECT item_id, action, time, event_id FROM events
WHERE user_id = %s AND action = ANY(%s) ORDER BY time DESC, sequence DESC LIMIT %s"""
COUNT: LiteralString = "SELECT count(*) FROM events"
BATCH_END: LiteralString = """SELECT max(sequence) FROM
    (SELECT sequence FROM events WHERE sequence > %s ORDER BY sequence LIMIT %s) AS batch"""
PRUNE: LiteralString = "DELETE FROM events WHERE sequence > %s AND sequence <= %s AND time < %s"
SCAN: LiteralString = """
SELECT sequence, event_id, user_id, item_id, action, time, request_id, position FROM events
WHERE sequence > %s ORDER BY sequence LIMIT %s"""
SINCE: LiteralString = """
SELECT sequence, user_id, item_id, action, time FROM events
WHERE sequence > %s AND time > %s AND action = ANY(%s) ORDER BY sequence LIMIT %s"""
EXPORT: LiteralString = """
SELECT sequence, event_id, user_id, item_id, action, time, request_id, position FROM events
WHERE user_id = %s AND sequence > %s ORDER BY sequence LIMIT %s"""
ERASE: LiteralString = "DELETE FROM events WHERE user_id = ANY(%s)"
ERASE_EXPOSURES: LiteralString = "DELETE FROM exposures WHERE user_id = ANY(%s)"
REMEMBER: LiteralString = "INSERT INTO erased (digest, time) VALUES (%s, %s)"
ERASURES: LiteralString = """
SELECT sequence, digest, time FROM erased WHERE sequence > %s ORDER BY sequence"""
ERASING: LiteralString = "LOCK TABLE erased IN SHARE ROW EXCLUSIVE MODE"
RENAME: LiteralString = """
UPDATE events SET user_id = new FROM unnest(%s::text[], %s::text[]) AS names (old, new)
WHERE user_id = old"""
RENAME_EXPOSURES: LiteralString = """
UPDATE exposures SET user_id = new FROM unnest(%s::text[], %s::text[]) AS names (old, new)
WHERE user_id = old"""
RENAME_ERASED: LiteralString = """
UPDATE erased SET digest = new FROM unnest(%s::text[], %s::text[]) AS names (old, new)
WHERE digest = old"""
USERS: LiteralString = """
SELECT user_id COLLATE "C" AS name FROM events WHERE user_id COLLATE "C" > %(after)s
UNION SELECT user_id COLLATE "C" FROM exposures WHERE user_id COLLATE "C" > %(after)s
ORDER BY name LIMIT %(most)s"""


class PostgresqlStore(EventStore):
    """Uses a pool of connections; replaces a broken one and repeats its work."""

    def __init__(self, address: str) -> None:
        """Connect, and create the tables or bring them up to date.

        Raises:
            StoreError: the server is unreachable or refuses.
        """
        self._pool = _Pool(
            address,
            kwargs=dict(PARAMETERS),
            min_size=1,
            max_size=CONNECTIONS,
            timeout=PATIENCE_SECONDS,
            reconnect_timeout=PATIENCE_SECONDS,
            configure=_durable,
            open=False,
        )
        try:
            self._pool.open(wait=True, timeout=PATIENCE_SECONDS)
            self._transact(prepare, seconds=LONG_SECONDS)
        except BaseException as error:
            self._pool.close()
            if isinstance(error, PoolTimeout):  # the address may hold a password
                raise StoreError("the PostgreSQL server for events is unreachable") from error
            raise
        self._exposures = PostgresqlExposures(self._of_exposures)

    @property
    @override
    def exposures(self) -> ExposureStore:
        return self._exposures

    @override
    def append(self, events: Sequence[Event], *, clients: Sequence[str] = ()) -> list[Outcome]:
        owners = clients or [""] * len(events)
        return self._transact(lambda connection: _append(connection, events, owners))

    @override
    def history(self, user_id: str, actions: Sequence[str], limit: int) -> list[Event]:
        given = (user_id, list(actions), limit)
        rows = self._transact(lambda connection: connection.execute(HISTORY, given).fetchall())
        return [
            Event(user_id=user_id, item_id=item_id, action=action, time=time, event_id=event_id)
            for item_id, action, time, event_id in reversed(rows)
        ]

    @override
    def count(self) -> int:
        row = self._transact(
            lambda connection: connection.execute(COUNT).fetchone(), seconds=LONG_SECONDS
        )
        return int(row[0]) if row else 0

    @override
    def prune(self, before: int) -> int:
        pruned = last = 0
        while (
            done := self._transact(
                lambda c: _prune(c, last, before),  # noqa: B023  # called at once
                seconds=LONG_SECONDS,
            )
        ) is not None:
            last, count = done
            pruned += count
        return pruned

    @override
    def scan(self) -> Iterator[Event]:
        return self._events(SCAN)

    @override
    def since(
        self, sequence: int, actions: Sequence[str], *, later_than: int
    ) -> Iterator[Sequence[Row]]:
        names = list(actions)
        while rows := self._transact(
            lambda c: c.execute(SINCE, (sequence, later_than, names, BATCH)).fetchall(),  # noqa: B023  # called at once
            seconds=LONG_SECONDS,
        ):
            sequence = rows[-1][0]
            yield rows

    @override
    def export(self, user_id: str) -> Iterator[Event]:
        return self._events(EXPORT, user_id)

    @override
    def erase(self, user_ids: Sequence[str], *, digest: str, at: int) -> Removed:
        def erase(connection: Connection) -> Removed:
            connection.execute(ERASING)  # so that sequence numbers appear in their order
            connection.execute(REMEMBER, (digest, at))
            removed = [
                connection.execute(query, (list(user_ids),)).rowcount
                for query in (ERASE, ERASE_EXPOSURES)
            ]
            return Removed(*removed)

        return self._transact(erase, seconds=LONG_SECONDS)

    @override
    def erasures(self, after: int = 0) -> Sequence[Erasure]:
        rows = self._transact(lambda connection: connection.execute(ERASURES, (after,)).fetchall())
        return [Erasure(sequence=n, digest=digest, time=time) for n, digest, time in rows]

    @override
    def rename(self, names: Mapping[str, str]) -> int:
        given = list(names), list(names.values())

        def rename(connection: Connection) -> int:
            connection.execute(RENAME_ERASED, given)
            queries = RENAME, RENAME_EXPOSURES
            return sum(connection.execute(query, given).rowcount for query in queries)

        return self._transact(rename, seconds=LONG_SECONDS)

    @override
    def users(self, after: str = "") -> Sequence[str]:
        rows = self._transact(
            lambda c: c.execute(USERS, {"after": after, "most": BATCH}).fetchall(),
            seconds=LONG_SECONDS,
        )
        return [row[0] for row in rows]

    @override
    def close(self) -> None:
        self._pool.close()

    def _events(self, query: LiteralString, *given: str) -> Iterator[Event]:
        """Events of a query whose last parameters are a sequence number and a number of rows."""
        last = 0
        while rows := self._transact(
            lambda c: c.execute(query, (*given, last, BATCH)).fetchall(),  # noqa: B023  # called at once
            seconds=LONG_SECONDS,
        ):
            last = rows[-1][0]
            yield from (_event(row[1:]) for row in rows)

    def _of_exposures(self, work: Callable[[Connection], T], *, long: bool = False) -> T:
        """Run work on exposures; an append runs once, for none is known by its content."""
        return self._transact(work, seconds=LONG_SECONDS) if long else self._transact(work, tries=1)

    def _transact(
        self, work: Callable[[Connection], T], *, seconds: float | None = None, tries: int = TRIES
    ) -> T:
        """Run work in one transaction, again after a lost connection: appending twice is safe.

        A connection that does not answer within some seconds counts as lost.
        """
        limit = PATIENCE_SECONDS if seconds is None else seconds
        end = time.monotonic() + limit
        for remaining in reversed(range(tries)):
            try:
                with self._pool.connection() as connection, cut_off_after(limit, connection):
                    done = work(connection)
                    connection.commit()
                    return done
            except psycopg.OperationalError as error:
                if isinstance(error, PoolTimeout | PoolClosed):
                    raise StoreError(f"PostgreSQL cannot store events: {error}") from error
                self._pool.check()  # replaces connections that broke with this one
                if not remaining or time.monotonic() > end:
                    raise StoreError(f"PostgreSQL cannot store events: {error}") from error
            except psycopg.Error as error:
                raise StoreError(f"PostgreSQL cannot store events: {error}") from error
        raise AssertionError("the last try returns or raises")


class _Pool(ConnectionPool[Connection]):
    """Checks its connections without waiting for a server that does not answer."""

    @override
    @staticmethod
    def check_connection(conn: Connection) -> None:
        with cut_off_after(CHECK_SECONDS, conn):
            ConnectionPool.check_connection(conn)


def _durable(connection: Connection) -> None:
    """Make commits wait for the disk, whatever the server's default is."""
    with cut_off_after(PATIENCE_SECONDS, connection):
        connection.execute("SET synchronous_commit TO on")
        connection.commit()


def _append(
    connection: Connection, events: Sequence[Event], clients: Sequence[str]
) -> list[Outcome]:
    columns = [[getattr(event, name) for event in events] for name in NAMES]
    added = {(row[0], row[1]) for row in connection.execute(APPEND, [list(clients), *columns])}
    keys = [(client, event.event_id) for client, event in zip(clients, events, strict=True)]
    others = [key for key in keys if key not in added]
    twice = len(events) > len(added) + len(others)
    stored = {}
    if looked_up := keys if twice else others:
        sought = [list(column) for column in zip(*looked_up, strict=True)]
        stored = {(row[0], row[1]): _event(row[1:]) for row in connection.execute(STORED, sought)}
    return [_outcome(key, event, added, stored) for key, event in zip(keys, events, strict=True)]


def _prune(connection: Connection, last: int, before: int) -> tuple[int, int] | None:
    """Last sequence number of the batch, and number of removed events; None after the end."""
    row = connection.execute(BATCH_END, (last, BATCH)).fetchone()
    if row is None or row[0] is None:
        return None
    return int(row[0]), connection.execute(PRUNE, (last, row[0], before)).rowcount


def _outcome(key: Key, event: Event, added: set[Key], stored: Mapping[Key, Event]) -> Outcome:
    """Outcome of an event; the first of its key in a batch removes the key from `added`."""
    if key in added:
        added.remove(key)
        return Outcome.RECORDED
    return Outcome.REPEATED if event.is_again(stored[key]) else Outcome.CONFLICT


def _event(row: tuple[Any, ...]) -> Event:
    return Event(**dict(zip(NAMES, row, strict=True)))
