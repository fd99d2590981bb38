"""Exposures in the PostgreSQL database of an event store."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, LiteralString, Protocol, TypeVar

from typing_extensions import override

from events.exposures.erased import not_erased
from events.exposures.exposure_store import BATCH, END, LISTS, PLAIN, PRUNED, ExposureStore
from events.postgresql_connection import Connection
from shortlist_client.api.exposure import Exposure

T = TypeVar("T")
COLUMNS: LiteralString = """request_id, time, client, user_id, placement, method, release,
    experiment, arm, policy, item_ids, scores, propensities"""
TABLES: tuple[LiteralString, ...] = (
    """CREATE TABLE IF NOT EXISTS exposures (
        sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        request_id text NOT NULL,
        time bigint NOT NULL,
        client text NOT NULL,
        user_id text NOT NULL,
        placement text NOT NULL,
        method text NOT NULL,
        release text NOT NULL,
        experiment text NOT NULL,
        arm text NOT NULL,
        policy text NOT NULL,
        item_ids text[] NOT NULL,
        scores float8[] NOT NULL,
        propensities float8[] NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS exposures_of_user ON exposures (user_id, sequence)",
    "CREATE INDEX IF NOT EXISTS exposures_of_time ON exposures (time, sequence)",
)
APPENDING: LiteralString = "LOCK TABLE erased IN ROW EXCLUSIVE MODE"
ERASED: LiteralString = "SELECT digest, max(time) FROM erased WHERE time >= %s GROUP BY digest"
APPEND: LiteralString = (
    f"INSERT INTO exposures ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, "
    "%s::text[], %s::float8[], %s::float8[])"
)
SCAN: LiteralString = f"""SELECT sequence, {COLUMNS} FROM exposures
    WHERE (time, sequence) > (%s, %s) AND time < %s ORDER BY time, sequence LIMIT %s"""
OF_USER: LiteralString = f"""SELECT sequence, {COLUMNS} FROM exposures
    WHERE user_id = %s AND sequence > %s ORDER BY sequence LIMIT %s"""
COUNT: LiteralString = "SELECT count(*) FROM exposures"
NEWEST_OVER: LiteralString = """SELECT time, sequence FROM exposures
    ORDER BY time DESC, sequence DESC LIMIT 1 OFFSET %s"""
PRUNE: LiteralString = """DELETE FROM exposures WHERE sequence IN (SELECT sequence FROM exposures
    WHERE (time, sequence) <= (%s, %s) ORDER BY time, sequence LIMIT %s FOR UPDATE SKIP LOCKED)"""


class Transact(Protocol):
    """Runs work in one transaction."""

    def __call__(self, work: Callable[[Connection], T], *, long: bool = False) -> T:
        """Run the work; `long` allows it minutes, and tries it again after a lost connection."""


class PostgresqlExposures(ExposureStore):
    """Uses the connections of a `PostgresqlStore`."""

    def __init__(self, transact: Transact) -> None:
        self._transact = transact

    @override
    def append(
        self, exposures: Sequence[Exposure], *, digests: Sequence[Collection[str]] = ()
    ) -> int:
        return self._transact(lambda connection: _append(connection, exposures, digests))

    @override
    def scan(self, *, since: int = 0, until: int = END) -> Iterator[Exposure]:
        last = since, 0
        while rows := self._rows(SCAN, *last, until, BATCH):
            last = rows[-1][2], rows[-1][0]
            yield from map(_exposure, rows)

    @override
    def of_user(self, user_id: str) -> Iterator[Exposure]:
        last = 0
        while rows := self._rows(OF_USER, user_id, last, BATCH):
            last = rows[-1][0]
            yield from map(_exposure, rows)

    @override
    def count(self) -> int:
        return int(self._rows(COUNT)[0][0])

    @override
    def prune(self, *, before: int, rows: int) -> int:
        def prune(connection: Connection) -> int:
            over = connection.execute(NEWEST_OVER, (rows,)).fetchall()
            time, sequence = max([(before, 0), *over])
            return connection.execute(PRUNE, (time, sequence, PRUNED)).rowcount

        return self._transact(prune, long=True)

    def _rows(self, query: LiteralString, *given: object) -> list[tuple[Any, ...]]:
        return self._transact(lambda c: c.execute(query, given).fetchall(), long=True)


def _append(
    connection: Connection, exposures: Sequence[Exposure], digests: Sequence[Collection[str]]
) -> int:
    places = list(range(len(exposures)))
    if digests and any(digests):
        connection.execute(APPENDING)  # an erasure runs before this transaction or after it
        since = min(exposure.time for exposure in exposures)
        erased = {row[0]: row[1] for row in connection.execute(ERASED, (since,))}
        places = not_erased(exposures, digests, erased)
    with connection.cursor() as cursor:
        cursor.executemany(APPEND, [_row(exposures[place]) for place in places])
    return len(places)


def _row(exposure: Exposure) -> list[Any]:
    plain = [getattr(exposure, name) for name in PLAIN]
    return [*plain, *(list(getattr(exposure, name)) for name in LISTS)]


def _exposure(row: tuple[Any, ...]) -> Exposure:
    _, *plain, item_ids, scores, propensities = row
    return Exposure(
        **dict(zip(PLAIN, plain, strict=True)),
        item_ids=tuple(item_ids),
        scores=tuple(scores),
        propensities=tuple(propensities),
    )
