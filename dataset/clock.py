"""The time as of which a release answers."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dataset.interaction_codes import DAY, HOUR


def full_hour(seconds: int) -> int:
    """The full hour before a time, in Unix seconds: "now" of all that happens within that hour."""
    return seconds - seconds % HOUR


class When(NamedTuple):
    """The time as of which one shopper is answered, and the times of the shopper's history."""

    now: int | None = None
    """Unix seconds before which purchases count; None where interactions have no times"""
    times: NDArray[np.int64] | None = None
    """(history,) Unix seconds of the history, not decreasing; None where unknown"""


NEVER = When()
"""Nothing is known of time"""


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Asking time by full hours, or the release's own time if its events end long before."""

    newest: int
    """Unix seconds of the newest event of any kind, as of `later_events`"""
    wall: Callable[[], float] = time.time
    """Returns Unix seconds"""

    def now(self) -> int:
        """Unix seconds, a full hour.

        If the newest event is older than a day, nobody tells this release what happens now: an
        archive, or a server without events. Then it answers as of the hour in which its events end,
        because every count up to the asking time would be low.
        """
        asked = int(self.wall())
        if asked - self.newest > DAY:
            return full_hour(self.newest) + HOUR
        return full_hour(asked)
