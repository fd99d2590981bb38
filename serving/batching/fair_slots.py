"""Limits how much is in progress; clients that wait take turns."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from serving.batching.fair_queue import FairQueue


class FairSlots:
    """A semaphore for which clients take turns. Belongs to one event loop."""

    def __init__(self, slots: int) -> None:
        """Take the number of slots, at least 1."""
        self._free = slots
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()

    @asynccontextmanager
    async def one_for(self, client: str) -> AsyncIterator[None]:
        """Hold a slot inside the block."""
        await self.acquire(client)
        try:
            yield
        finally:
            self.release()

    async def acquire(self, client: str) -> None:
        """Wait for a slot; every slot must be released once."""
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.add(client, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # the slot came at the same time
                self.release()
            raise

    def release(self) -> None:
        """Give the slot to the client whose turn it is."""
        while self._waiting:
            if self._waiting.next().done():  # its caller has left
                self._waiting.take(0)
                continue
            self._waiting.take(1).set_result(None)
            return
        self._free += 1
