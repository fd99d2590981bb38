"""Tables of an event store in PostgreSQL, and how older ones are brought up to date."""

from typing import LiteralString

from events.exposures.postgresql import TABLES as OF_EXPOSURES
from events.postgresql_connection import Connection

LOCK = 0x53484C45
"""Key of the advisory lock that is held while the tables are created."""
TABLES: tuple[LiteralString, ...] = (
    """CREATE TABLE IF NOT EXISTS events (
        sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        client text NOT NULL,
        event_id text NOT NULL,
        user_id text NOT NULL,
        item_id text NOT NULL,
        action text NOT NULL,
        time bigint NOT NULL,
        request_id text NOT NULL,
        position integer,
        CONSTRAINT event_of_client UNIQUE (client, event_id)
    )""",
    """CREATE INDEX IF NOT EXISTS events_of_user ON events (user_id, action, time, sequence)
        INCLUDE (item_id, event_id)""",
    """CREATE TABLE IF NOT EXISTS erased (
        sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        digest text NOT NULL,
        time bigint NOT NULL
    )""",
)
IS_OLD: LiteralString = """SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('events')
    AND NOT EXISTS (SELECT 1 FROM pg_attribute
        WHERE attrelid = to_regclass('events') AND attname = 'client')"""
FROM_1: tuple[LiteralString, ...] = (
    "ALTER TABLE events ADD COLUMN client text NOT NULL DEFAULT ''",
    "ALTER TABLE events ALTER COLUMN client DROP DEFAULT",
    "ALTER TABLE events ADD CONSTRAINT event_of_client UNIQUE (client, event_id)",
    "ALTER TABLE events DROP CONSTRAINT events_event_id_key",
)
"""From version 1, where event ids were unique among all clients; its events belong to no client"""


def prepare(connection: Connection) -> None:
    """Create the tables that are missing and bring older ones up to date, in one transaction."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
    if connection.execute(IS_OLD).fetchone() is not None:
        for statement in FROM_1:
            connection.execute(statement)
    for statement in (*TABLES, *OF_EXPOSURES):
        connection.execute(statement)
