"""The file of clients, read again when it changes."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from serving.server.access.client import Client
from serving.server.access.entries import read_entries

logger = logging.getLogger(__name__)
SETTLED_SECONDS = 2.0
"""Age of a change from which a further one is sure to have another time in the file system."""


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
        self._refresh()

    def clients(self) -> Sequence[Client]:
        """The clients of the file now."""
        try:
            self._refresh()
        except (FileNotFoundError, NotADirectoryError):
            self._stamp, self._content, self._clients = (), None, ()
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
        content = self._path.read_bytes()
        if content != self._content:
            try:
                self._clients = read_entries(content)
            except ValueError as error:
                raise ValueError(f"{self._path}: {error}") from error
            self._content = content
        # a file may change twice within one tick of the file system's clock
        settled = abs(time.time() - stamp[0] / 1e9) > SETTLED_SECONDS
        self._stamp = stamp if settled else ()

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
