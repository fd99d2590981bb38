"""Exposures in the SQLite file of an event store."""

import json
import sqlite3
import struct
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from typing_extensions import override

from events.exposures.erased import not_erased
from events.exposures.exposure_store import BATCH, END, LISTS, PLAIN, PRUNED, ExposureStore
from shortlist_client.api.exposure import Exposure

COLUMNS = ", ".join((*PLAIN, *LISTS))
TABLE = """
CREATE TABLE exposures (
    sequence INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL,
    time INTEGER NOT NULL,
    client TEXT NOT NULL,
    user_id TEXT NOT NULL,
    placement TEXT NOT NULL,
    method TEXT NOT NULL,
    release TEXT NOT NULL,
    experiment TEXT NOT NULL,
    arm TEXT NOT NULL,
    policy TEXT NOT NULL,
    item_ids TEXT NOT NULL,
    scores BLOB NOT NULL,
    propensities BLOB NOT NULL
) STRICT;
CREATE INDEX exposures_of_user ON exposures (user_id);
CREATE INDEX exposures_of_time ON exposures (time);
"""
"""Ids are a JSON list; scores and propensities are little-endian doubles"""
APPEND = f"INSERT INTO exposures ({COLUMNS}) VALUES (?{', ?' * 12})"
SCAN = f"""SELECT sequence, {COLUMNS} FROM exposures
    WHERE (time, sequence) > (?, ?) AND time < ? ORDER BY time, sequence LIMIT {BATCH}"""
OF_USER = f"""SELECT sequence, {COLUMNS} FROM exposures
    WHERE user_id = ? AND sequence > ? ORDER BY sequence LIMIT {BATCH}"""
NEWEST_OVER = """SELECT time, sequence FROM exposures
    ORDER BY time DESC, sequence DESC LIMIT 1 OFFSET ?"""
PRUNE = f"""DELETE FROM exposures WHERE sequence IN (SELECT sequence FROM exposures
    WHERE (time, sequence) <= (?, ?) ORDER BY time, sequence LIMIT {PRUNED})"""
Opens = Callable[[], AbstractContextManager[sqlite3.Connection]]
"""Opens a connection, or a transaction, for the time of a block"""


class SqliteExposures(ExposureStore):
    """Uses the connections of an `SqliteStore`."""

    def __init__(self, connected: Opens, transaction: Opens) -> None:
        self._connected, self._transaction = connected, transaction

    @override
    def append(
        self, exposures: Sequence[Exposure], *, digests: Sequence[Collection[str]] = ()
    ) -> int:
        rows = [_row(exposure) for exposure in exposures]
        with self._transaction() as connection:
            if digests and any(digests):
                since = min(exposure.time for exposure in exposures)
                query = "SELECT digest, max(time) FROM erased WHERE time >= ? GROUP BY digest"
                erased = dict(connection.execute(query, (since,)).fetchall())
                rows = [rows[n] for n in not_erased(exposures, digests, erased)]
            connection.executemany(APPEND, rows)
        return len(rows)

    @override
    def scan(self, *, since: int = 0, until: int = END) -> Iterator[Exposure]:
        last = since, 0
        while rows := self._rows(SCAN, *last, until):
            last = rows[-1][2], rows[-1][0]
            yield from map(_exposure, rows)

    @override
    def of_user(self, user_id: str) -> Iterator[Exposure]:
        last = 0
        while rows := self._rows(OF_USER, user_id, last):
            last = rows[-1][0]
            yield from map(_exposure, rows)

    @override
    def count(self) -> int:
        return int(self._rows("SELECT count(*) FROM exposures")[0][0])

    @override
    def prune(self, *, before: int, rows: int) -> int:
        over = self._rows(NEWEST_OVER, rows)
        end = max([(before, 0), *over])
        with self._connected() as connection:
            return connection.execute(PRUNE, end).rowcount

    def _rows(self, query: str, *given: object) -> list[tuple[Any, ...]]:
        with self._connected() as connection:
            return connection.execute(query, given).fetchall()


def _row(exposure: Exposure) -> tuple[Any, ...]:
    return (
        *(getattr(exposure, name) for name in PLAIN),
        json.dumps(exposure.item_ids, ensure_ascii=False, separators=(",", ":")),
        _packed(exposure.scores),
        _packed(exposure.propensities),
    )


def _exposure(row: tuple[Any, ...]) -> Exposure:
    _, *plain, item_ids, scores, propensities = row
    return Exposure(
        **dict(zip(PLAIN, plain, strict=True)),
        item_ids=tuple(json.loads(item_ids)),
        scores=_unpacked(scores),
        propensities=_unpacked(propensities),
    )


def _packed(numbers: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(numbers)}d", *numbers)


def _unpacked(packed: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(packed) // 8}d", packed)
