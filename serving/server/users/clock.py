"""A clock that no correction of the system's clock sets back."""

import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Clock:
    """The time since the clock was made, counted by the monotonic clock, beside the system's clock.

    Both readings are Unix seconds. They differ once somebody has set the system's clock.
    """

    _started: float = field(default_factory=time.time)
    _at: float = field(default_factory=time.monotonic)

    def latest(self) -> float:
        """The later reading: what happens now is never in the future of it."""
        return max(time.time(), self._steady())

    def earliest(self) -> float:
        """The earlier reading: what it calls old is old by both."""
        return min(time.time(), self._steady())

    def _steady(self) -> float:
        return self._started + time.monotonic() - self._at
