"""Tables of an event store's SQLite file, and how an older file is brought up to date."""

import sqlite3
from contextlib import closing
from pathlib import Path

from events.event_store import StoreError
from events.exposures.sqlite import TABLE

APPLICATION = 0x53484C45
"""SQLite application id that marks the file as an event store."""
VERSION = 3
PATIENCE_SECONDS = 10.0
"""Longest wait for another process that writes."""
TABLES = f"""
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY,
    client TEXT NOT NULL,
    event_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    action TEXT NOT NULL,
    time INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    position INTEGER,
    UNIQUE (client, event_id)
) STRICT;
CREATE INDEX events_of_user ON events (user_id, action, time, sequence, item_id, event_id);
CREATE TABLE erased (
    sequence INTEGER PRIMARY KEY,
    digest TEXT NOT NULL,
    time INTEGER NOT NULL
) STRICT;
{TABLE}
"""
FROM_1 = f"""
ALTER TABLE events RENAME TO events_1;
DROP INDEX events_of_user;
{TABLES}
INSERT INTO events
    SELECT sequence, '', event_id, user_id, item_id, action, time, request_id, position
    FROM events_1 ORDER BY sequence;
DROP TABLE events_1;
"""
"""From version 1, where event ids were unique among all clients; its events belong to no client"""
FROM_2 = TABLE
"""From version 2, which had no exposures"""
MARKS = f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};"


def prepare(path: Path, *, create: bool) -> None:
    """Create the tables in an empty file or bring an older file up to date, in one transaction.

    Args:
        path: An existing file.
        create: Whether the file may be empty.

    Raises:
        StoreError: the file is no event store, or one of a later version; it is not changed.
        sqlite3.Error: the file cannot be read or written.
    """
    with closing(
        sqlite3.connect(path, timeout=PATIENCE_SECONDS, isolation_level=None)
    ) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        if not create:
            _require(path, _marks(connection), (1, 2, VERSION))
        connection.execute("BEGIN IMMEDIATE")
        if create and not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            _run(connection, TABLES + MARKS)
        if _marks(connection) == [APPLICATION, 1]:
            _run(connection, FROM_1 + MARKS)
        if _marks(connection) == [APPLICATION, 2]:
            _run(connection, FROM_2 + MARKS)
        marks = _marks(connection)
        connection.execute("COMMIT")
    _require(path, marks, (VERSION,))


def _require(path: Path, marks: list[int], versions: tuple[int, ...]) -> None:
    if marks not in [[APPLICATION, version] for version in versions]:
        raise StoreError(
            f"{path} must be an event store of version {VERSION}, got another SQLite file"
        )


def _run(connection: sqlite3.Connection, script: str) -> None:
    for statement in filter(str.strip, script.split(";")):
        connection.execute(statement)


def _marks(connection: sqlite3.Connection) -> list[int]:
    return [
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version")
    ]
