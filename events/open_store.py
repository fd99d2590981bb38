"""Opens an event store by its address."""

from pathlib import Path

from events.event_store import EventStore, StoreError

POSTGRESQL = ("postgresql://", "postgres://")


def open_store(address: str) -> EventStore:
    """Open a store; create it if it is missing.

    Args:
        address: `postgresql://user@host/database`, or the path of an SQLite file.

    Raises:
        StoreError: the store is unreachable or is no event store, or a package is missing; names
            the command that installs it.
    """
    if address.startswith(POSTGRESQL):
        from events.postgresql import PostgresqlStore

        return PostgresqlStore(address)
    if "://" in address:
        raise StoreError(
            f"address must be the path of a file or begin with {POSTGRESQL[0]}, got {address!r}"
        )
    from events.sqlite import SqliteStore

    return SqliteStore(Path(address))
