"""One connection to PostgreSQL that replaces itself, and gives up on a server that hangs."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import psycopg

from events.postgresql_connection import (
    PARAMETERS,
    PATIENCE_SECONDS,
    Connection,
    cut_off_after,
)
from serving.replication.protocol import LogUnavailableError

T = TypeVar("T")
PAUSE_SECONDS = 1.0
"""Time after a failure during which calls fail at once."""
TRIES = 2
"""Attempts at a call whose connection broke."""


class Session:
    """Does one call at a time. Thread-safe."""

    def __init__(self, address: str) -> None:
        """Take the address; the first call connects."""
        self._address, self._lock = address, threading.Lock()
        self._connection: Connection | None = None
        self._failure, self._retry_at = "", 0.0

    def call(self, work: Callable[[Connection], T], *, seconds: float | None = None) -> T:
        """Do work on the connection, and again on a new one if it broke.

        Args:
            work: Does the work.
            seconds: Longest time that it may take; by default a few seconds.

        Raises:
            LogUnavailableError: the server is unreachable, refuses or does not answer in time.
        """
        with self._lock:
            if time.monotonic() < self._retry_at:
                raise LogUnavailableError(self._failure)
            started, limit = time.monotonic(), PATIENCE_SECONDS if seconds is None else seconds
            for remaining in reversed(range(TRIES)):
                try:
                    if self._connection is None:
                        self._connection = connect(self._address)
                    with cut_off_after(limit, self._connection):
                        return work(self._connection)
                except psycopg.Error as error:
                    self._disconnect()
                    in_time = time.monotonic() < started + limit
                    if remaining and in_time and isinstance(error, psycopg.OperationalError):
                        continue
                    self._failure = f"PostgreSQL cannot store item changes: {error}"
                    self._retry_at = time.monotonic() + PAUSE_SECONDS
                    raise LogUnavailableError(self._failure) from error
        raise AssertionError("the last try returns or raises")

    def close(self) -> None:
        """Close the connection; a later call opens another."""
        with self._lock:
            self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def connect(address: str) -> Connection:
    """Connect; commits wait for the disk, whatever the server's default is.

    Raises:
        psycopg.Error: the server is unreachable, refuses or does not answer in time.
    """
    connection = psycopg.connect(
        address,
        autocommit=True,
        application_name="shortlist item changes",
        **PARAMETERS,
    )
    with cut_off_after(PATIENCE_SECONDS, connection):
        connection.execute("SET synchronous_commit TO on")
    return connection
