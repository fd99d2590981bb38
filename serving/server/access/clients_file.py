"""The file of clients, read again when it changes."""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

from lineage.small_files import read_small
from serving.server.access.client import Client
from serving.server.access.entries import read_entries

logger = logging.getLogger(__name__)
SETTLED_SECONDS = 2.0
"""Age of a change from which a further one is sure to have another time in the file system."""

PARSED_AT_ONCE = 8 << 10
"""Bytes of a file that is parsed while the event loop waits, about 10 ms. A larger one is parsed in
a thread, which takes about 3 s for 10,000 clients; until then the clients read before stay."""


class ClientsFile:
    """The clients of a file.

    A file that is gone has no clients. A file that cannot be read, or breaks a rule, keeps the
    clients read before, and is tried again every time.
    """

    def __init__(self, path: Path) -> None:
        """Read the clients.

        Raises:
            ValueError: the file breaks a rule; names the client.
            OSError: the file cannot be read.
        """
        self._path = path
        self._stamp: tuple[int, ...] = ()
        self._content: bytes | None = None
        self._clients: Sequence[Client] = ()
        self._trouble = ""
        self._parsed: tuple[bytes, Future[Sequence[Client]]] | None = None
        self._stamp = self._stamp_now()
        self._take(read_small(path), in_thread=False)
        self._stamp = self._settled(self._stamp)

    def clients(self) -> Sequence[Client]:
        """The clients of the file now."""
        try:
            self._refresh()
        except (FileNotFoundError, NotADirectoryError):
            self._stamp, self._content, self._clients, self._parsed = (), None, (), None
            self._say(f"{self._path} is gone: no client is known until it is back")
        except (OSError, ValueError) as error:
            self._say(f"the clients read before stay valid: {error}")
        else:
            self._say("")
        return self._clients

    def _refresh(self) -> None:
        """Read the file if it may have changed."""
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return
        content = read_small(self._path)
        if content != self._content:
            self._take(content, in_thread=len(content) > PARSED_AT_ONCE)
        if content == self._content:
            self._stamp = self._settled(stamp)

    def _take(self, content: bytes, *, in_thread: bool) -> None:
        """Parse the content once, and use its clients as soon as they are known.

        Raises:
            ValueError: the content breaks a rule, as it did before.
        """
        if self._parsed is None or self._parsed[0] != content:
            self._parsed = content, _parsed(content, in_thread=in_thread)
        clients = self._parsed[1]
        if not clients.done():
            return
        try:
            self._clients = clients.result()
        except ValueError as error:
            raise ValueError(f"{self._path}: {error}") from error
        self._content = content

    @staticmethod
    def _settled(stamp: tuple[int, ...]) -> tuple[int, ...]:
        """The stamp; none while the file may change twice within a tick of its clock."""
        return stamp if abs(time.time() - stamp[0] / 1e9) > SETTLED_SECONDS else ()

    def _stamp_now(self) -> tuple[int, ...]:
        """Changes with the file: taken before it is read, so that no later change is missed."""
        now = self._path.stat()
        return now.st_mtime_ns, now.st_ctime_ns, now.st_size, now.st_ino

    def _say(self, trouble: str) -> None:
        """Log trouble when it begins, when its reason changes and when it ends."""
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble:
            logger.error("%s", trouble)
        else:
            logger.info("%s can be read again: %d clients", self._path, len(self._clients))


def _parsed(content: bytes, *, in_thread: bool) -> Future[Sequence[Client]]:
    """The clients of the content, or the error of reading them."""
    clients: Future[Sequence[Client]] = Future()

    def parse() -> None:
        try:
            clients.set_result(read_entries(content))
        except Exception as error:  # raised to who asks for the result
            clients.set_exception(error)

    if in_thread:
        threading.Thread(target=parse, name="clients", daemon=True).start()
    else:
        parse()
    return clients
