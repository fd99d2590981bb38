"""When a swap that failed is tried again, and which of its failures are logged."""

import random
import time
from collections.abc import Callable

FIRST_SECONDS, LONGEST_SECONDS = 1.0, 60.0
"""Wait after the first failure, which doubles up to the longest, seconds"""
LEAST_SHARE = 0.5
"""Least share of a wait; the rest is random, so that servers of one folder spread out"""


class Retries:
    """Failures of one release. Not thread-safe."""

    def __init__(
        self,
        release_id: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Start without failures.

        Args:
            release_id: Id of the release that cannot be served yet.
            clock: Monotonic time, seconds.
            chance: Random number from 0 to 1.
        """
        self.release_id = release_id
        """Id of the release"""
        self.failures = 0
        """Failed attempts"""
        self._clock, self._chance = clock, chance
        self._reasons: set[str] = set()
        self._failed, self._wait = 0.0, 0.0

    def is_due(self, *, asked: bool) -> bool:
        """Whether to try again now.

        Args:
            asked: Whether somebody asked for it; then the shortest wait suffices.
        """
        if not self.failures:
            return True
        passed = self._clock() - self._failed
        return passed >= (FIRST_SECONDS if asked else self._wait)

    def failed(self, reason: str, seconds: float = 0.0) -> bool:
        """Count a failure; return whether its reason is a new one.

        Args:
            reason: Why the release could not be served.
            seconds: Duration of the attempt. The wait is at least as long, so that a server spends
                at most half of its time on attempts.
        """
        longest = min(FIRST_SECONDS * 2.0 ** min(self.failures, 30), LONGEST_SECONDS)
        share = LEAST_SHARE + (1 - LEAST_SHARE) * self._chance()
        self._wait = max(longest * share, FIRST_SECONDS, seconds)
        self._failed = self._clock()
        self.failures += 1
        is_new = reason not in self._reasons
        self._reasons.add(reason)
        return is_new
