"""Queue that gives every client the same share of the work."""

from collections import deque
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Items of several clients: in order for each client, in turns between them.

    Start-time fair queueing (Goyal et al., SIGCOMM 1996). A client's clock is the cost of its work
    so far; the client whose clock is furthest behind is next. A client that had nothing to do
    starts at the present, so nobody saves up turns. With one client, this is a queue in order of
    arrival. Not thread-safe.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Item]] = {}
        self._clocks: dict[str, float] = {}
        self._now = 0.0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def of(self, client: str) -> int:
        """Number of items of a client."""
        return len(self._waiting.get(client, ()))

    @property
    def clients(self) -> Collection[str]:
        """The clients with items."""
        return self._waiting.keys()

    def add(self, client: str, item: Item) -> None:
        """Add an item behind the others of its client."""
        if client not in self._waiting:
            self._waiting[client] = deque()
            self._clocks[client] = max(self._clocks.get(client, 0.0), self._now)
        self._waiting[client].append(item)
        self._count += 1

    def next(self) -> Item:
        """The item whose turn it is, which stays; the queue must not be empty."""
        return self._waiting[self._turn()][0]

    def take(self, cost: float) -> Item:
        """Remove the item whose turn it is, and charge its client.

        Args:
            cost: Work for the item, in any unit; 0 for an item that needs none.
        """
        client = self._turn()
        item = self._waiting[client].popleft()
        self._count -= 1
        self._now = self._clocks[client]
        self._clocks[client] += cost
        if not self._waiting[client]:
            self._forget_idle()
        return item

    def take_newest(self, client: str) -> Item:
        """Remove the last item of a client, at no cost."""
        item = self._waiting[client].pop()
        self._count -= 1
        if not self._waiting[client]:
            self._forget_idle()
        return item

    def retain(self, wanted: Callable[[Item], bool]) -> None:
        """Remove the items that are not wanted, at no cost."""
        for client, items in self._waiting.items():
            self._waiting[client] = deque(filter(wanted, items))
        self._count = sum(map(len, self._waiting.values()))
        self._forget_idle()

    def clear(self) -> None:
        """Remove all items."""
        self.retain(lambda _: False)

    def _turn(self) -> str:
        return min(self._waiting, key=self._clocks.__getitem__)

    def _forget_idle(self) -> None:
        """Forget clients without items, once their clocks are not ahead of the present."""
        self._waiting = {client: items for client, items in self._waiting.items() if items}
        self._clocks = {
            client: clock
            for client, clock in self._clocks.items()
            if client in self._waiting or (self._waiting and clock > self._now)
        }
