"""How long work takes, by its size, as seen lately."""

from collections import defaultdict, deque

REMEMBERED = 16
"""Pieces of work of about one size."""
PATIENCE = 0.8
"""Share of them that took no longer than is expected."""


class Pace:
    """Foretells from what was seen; sizes within a factor of two count as one."""

    def __init__(self) -> None:
        self._seconds: dict[int, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    def forget(self) -> None:
        """Begin anew."""
        self._seconds.clear()

    def book(self, size: int, seconds: float) -> None:
        """Remember how long a piece of work took."""
        self._seconds[size.bit_length()].append(seconds)

    def expected(self, size: int) -> float:
        """Seconds that work of a size will take, rather too many; 0 where nothing was seen yet.

        What was seen of smaller work alone is taken for proportional.
        """
        if not self._seconds:
            return 0.0
        own = size.bit_length()
        larger = [one for one in self._seconds if one >= own]
        nearest = min(larger) if larger else max(self._seconds)
        seen = sorted(self._seconds[nearest])
        return seen[int(PATIENCE * (len(seen) - 1))] * 2.0 ** max(own - nearest, 0)
