"""How connections to PostgreSQL notice that the server hangs or that the network drops silently."""

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Any

import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]
PATIENCE_SECONDS = 5.0
"""Longest wait for a connection, and for an answer to what should be fast."""
PARAMETERS: Mapping[str, Any] = MappingProxyType(
    {
        "connect_timeout": int(PATIENCE_SECONDS),
        "tcp_user_timeout": int(1e3 * PATIENCE_SECONDS),
        "keepalives_idle": int(PATIENCE_SECONDS),
    }
)
"""Parameters of every connection; the kernel ends one whose other side is gone."""


@contextmanager
def cut_off_after(seconds: float, connection: Connection) -> Iterator[None]:
    """Break the connection if the block takes longer; a server that is stopped never answers."""
    doubled = socket.socket(fileno=os.dup(connection.fileno()))

    def cut() -> None:
        with suppress(OSError):
            doubled.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        doubled.close()
