"""Bounds what callers keep busy, together and each of them."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from serving.api.errors import QueueFullError

RETRY_SECONDS = 1.0
"""When a refused caller should ask again, seconds."""


class Quota:
    """Counts what is in progress; refuses more than a number in all, and from one host."""

    def __init__(self, most: int, *, of_one_host: int) -> None:
        """Take both limits."""
        self._most, self._of_one_host = most, of_one_host
        self._held: Counter[str] = Counter()

    @property
    def held(self) -> int:
        """How many are in progress."""
        return self._held.total()

    @contextmanager
    def one_for(self, host: str) -> Iterator[None]:
        """Count one more inside the block.

        Raises:
            QueueFullError: too many are in progress.
        """
        held = self.held
        if held >= self._most or self._held[host] >= self._of_one_host:
            raise QueueFullError(held, RETRY_SECONDS)
        self._held[host] += 1
        try:
            yield
        finally:
            self._held[host] -= 1
            if not self._held[host]:
                del self._held[host]


def host_of(peer: str) -> str:
    """The host of a peer as gRPC names it: `ipv4:10.0.0.7:49152`, `ipv6:[::1]:49152`."""
    return peer.rpartition(":")[0] or peer
