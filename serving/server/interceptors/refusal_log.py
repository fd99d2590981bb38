"""Logs refused calls, but no more lines than a reader wants: callers choose how often they call."""

import logging
import time

logger = logging.getLogger(__name__)
SECONDS = 10.0
"""Time in which at most `LINES` refusals are logged."""
LINES = 100


class RefusalLog:
    """Logs the first refusals of a period, and how many followed. The metrics count all."""

    def __init__(self) -> None:
        self._began = -SECONDS
        self._refusals = 0

    def add(self, method: str, error: Exception) -> None:
        """Log a refused call, if there is still room for it.

        Args:
            method: Name of the method, as the log may show it.
            error: Why the call is refused.
        """
        now = time.monotonic()
        if now - self._began >= SECONDS:
            if self._refusals > LINES:
                logger.info("%d more calls were refused then", self._refusals - LINES)
            self._began, self._refusals = now, 0
        self._refusals += 1
        if self._refusals <= LINES:
            logger.info("%s refused: %s", method, error)
