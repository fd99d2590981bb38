"""Stores events in PostgreSQL, for several servers."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, LiteralString, TypeVar

from typing_extensions import override

from events.event import Outcome
from events.event_store import BATCH, EventStore, StoreError
from shortlist_client.api.event import Event

try:
    import psycopg
    from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout
except ImportError as missing:
    raise StoreError(
        f"PostgreSQL needs the extra `postgresql`: `pip install '.[postgresql]'` ({missing})"
    ) from missing

T = TypeVar("T")
Connection = psycopg.Connection[tuple[Any, ...]]
CONNECTIONS = 4
PATIENCE_SECONDS = 5.0
"""Longest wait for a connection."""
TRIES = 3
"""Attempts at a transaction whose connection broke or that the server aborted."""
LOCK = 0x53484C45
"""Key of the advisory lock that is held while the tables are created."""
SCHEMA: tuple[LiteralString, ...] = (
    """CREATE TABLE IF NOT EXISTS events (
        sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        event_id text NOT NULL UNIQUE,
        user_id text NOT NULL,
        item_id text NOT NULL,
        action text NOT NULL,
        time bigint NOT NULL,
        request_id text NOT NULL,
        position integer
    )""",
    """CREATE INDEX IF NOT EXISTS events_of_user ON events (user_id, action, time, sequence)
        INCLUDE (item_id, event_id)""",
)
APPEND: LiteralString = """
INSERT INTO events (event_id, user_id, item_id, action, time, request_id, position)
SELECT a, b, c, d, e, f, g FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[],
    %s::bigint[], %s::text[], %s::integer[]) WITH ORDINALITY AS rows (a, b, c, d, e, f, g, place)
ORDER BY place ON CONFLICT (event_id) DO NOTHING RETURNING event_id"""
NAMES = ("event_id", "user_id", "item_id", "action", "time", "request_id", "position")
STORED: LiteralString = """
SELECT event_id, user_id, item_id, action, time, request_id, position FROM events
WHERE event_id = ANY(%s)"""
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


class PostgresqlStore(EventStore):
    """Uses a pool of connections; replaces a broken one and repeats its work."""

    def __init__(self, address: str) -> None:
        """Connect, and create the table if it is missing.

        Raises:
            StoreError: the server is unreachable or refuses.
        """
        self._pool = ConnectionPool(
            address,
            min_size=1,
            max_size=CONNECTIONS,
            timeout=PATIENCE_SECONDS,
            configure=_durable,
            open=False,
        )
        try:
            self._pool.open(wait=True, timeout=PATIENCE_SECONDS)
            self._transact(_prepare)
        except BaseException as error:
            self._pool.close()
            if isinstance(error, PoolTimeout):  # the address may hold a password
                raise StoreError("the PostgreSQL server for events is unreachable") from error
            raise

    @override
    def append(self, events: Sequence[Event]) -> list[Outcome]:
        return self._transact(lambda connection: _append(connection, events))

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
        row = self._transact(lambda connection: connection.execute(COUNT).fetchone())
        return int(row[0]) if row else 0

    @override
    def prune(self, before: int) -> int:
        pruned = last = 0
        while (done := self._transact(lambda c: _prune(c, last, before))) is not None:  # noqa: B023  # called at once
            last, count = done
            pruned += count
        return pruned

    @override
    def scan(self) -> Iterator[Event]:
        last = 0
        while rows := self._after(last):
            last = rows[-1][0]
            yield from (_event(row[1:]) for row in rows)

    @override
    def close(self) -> None:
        self._pool.close()

    def _after(self, sequence: int) -> list[tuple[Any, ...]]:
        return self._transact(
            lambda connection: connection.execute(SCAN, (sequence, BATCH)).fetchall()
        )

    def _transact(self, work: Callable[[Connection], T]) -> T:
        """Run work in one transaction, again after a lost connection: appending twice is safe."""
        for remaining in reversed(range(TRIES)):
            try:
                with self._pool.connection() as connection:
                    return work(connection)
            except psycopg.OperationalError as error:
                if not remaining or isinstance(error, PoolTimeout | PoolClosed):
                    raise StoreError(f"PostgreSQL cannot store events: {error}") from error
                self._pool.check()  # replaces connections that broke with this one
            except psycopg.Error as error:
                raise StoreError(f"PostgreSQL cannot store events: {error}") from error
        raise AssertionError("the last try returns or raises")


def _durable(connection: Connection) -> None:
    """Make commits wait for the disk, whatever the server's default is."""
    connection.execute("SET synchronous_commit TO on")
    connection.commit()


def _prepare(connection: Connection) -> None:
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
    for statement in SCHEMA:
        connection.execute(statement)


def _append(connection: Connection, events: Sequence[Event]) -> list[Outcome]:
    columns = [[getattr(event, name) for event in events] for name in NAMES]
    added = {row[0] for row in connection.execute(APPEND, columns)}
    others = [event.event_id for event in events if event.event_id not in added]
    twice = len(events) > len(added) + len(others)
    looked_up = [event.event_id for event in events] if twice else others
    stored = {}
    if looked_up:
        stored = {row[0]: _event(row) for row in connection.execute(STORED, (looked_up,))}
    return [_outcome(event, added, stored) for event in events]


def _prune(connection: Connection, last: int, before: int) -> tuple[int, int] | None:
    """Last sequence number of the batch, and number of removed events; None after the end."""
    row = connection.execute(BATCH_END, (last, BATCH)).fetchone()
    if row is None or row[0] is None:
        return None
    return int(row[0]), connection.execute(PRUNE, (last, row[0], before)).rowcount


def _outcome(event: Event, added: set[str], stored: dict[str, Event]) -> Outcome:
    """Outcome of an event; the first of its id in a batch removes the id from `added`."""
    if event.event_id in added:
        added.remove(event.event_id)
        return Outcome.RECORDED
    return Outcome.REPEATED if event.is_again(stored[event.event_id]) else Outcome.CONFLICT


def _event(row: tuple[Any, ...]) -> Event:
    return Event(**dict(zip(NAMES, row, strict=True)))
