"""The thread that follows a change log."""

import logging
import threading
import time
from collections.abc import Callable

from lineage.manifest import ArtifactError
from serving.replication.protocol import ChangeLog

logger = logging.getLogger(__name__)
WAIT_SECONDS = 0.5
"""Longest time between two looks at the log."""


class Follower:
    """Calls `catch_up` whenever the log may have new records; logs each failure once."""

    def __init__(self, log: ChangeLog, catch_up: Callable[[], None]) -> None:
        """Start the thread.

        Args:
            log: The log to follow.
            catch_up: Applies what is new; may raise any error.
        """
        self.catch_up = catch_up
        """May be replaced at any time."""
        self._log, self._stopped = log, threading.Event()
        self._failure, self._fresh_at = "", time.monotonic()
        self._thread = threading.Thread(target=self._run, name="item changes", daemon=True)
        self._thread.start()

    @property
    def age_seconds(self) -> float:
        """Time since everything in the log was known, seconds."""
        return time.monotonic() - self._fresh_at

    def stop(self) -> None:
        """Stop the thread and wait for its end."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            started = time.monotonic()
            try:
                self.catch_up()
            except Exception as error:
                self._report(error)
            else:
                if self._failure:
                    logger.info("item changes are known again")
                self._failure, self._fresh_at = "", started
            self._log.wait(WAIT_SECONDS, self._stopped)

    def _report(self, error: Exception) -> None:
        known = isinstance(error, ArtifactError | OSError)
        reason = str(error) if known else repr(error)
        if reason != self._failure:
            logger.error(
                "item changes cannot be followed now; answers go on from what is known: %s",
                reason,
                exc_info=None if known else error,
            )
        self._failure = reason
