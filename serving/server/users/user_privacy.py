"""Exports and erases users off the event loop, and follows the erasures of other servers."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

from events.event_store import Erasure, EventStore, Removed, StoreError
from events.privacy.erased_users import ErasedUsers
from events.privacy.erasure import carry_erasures, erase_user
from lineage.manifest import ArtifactError
from serving.api.errors import UnavailableError
from serving.server.users.clock import Clock
from shortlist_client.api.event import Event
from shortlist_client.api.exposure import Exposure

logger = logging.getLogger(__name__)
T = TypeVar("T")
FOLLOW_SECONDS = 0.5
"""Time between two looks for erasures by other servers"""
FIRST_SECONDS = 5.0
"""Longest wait for the erasures in the store before the server is ready"""


class UserPrivacy:
    """What operators ask about one server's users."""

    def __init__(self, store: EventStore, erased: ErasedUsers, clock: Clock) -> None:
        """Take the open event store, the erased users of the releases, and the events' clock."""
        self._store, self._clock = store, clock
        self._last: Erasure | None = None
        self._silent = False
        self._following: asyncio.Task[None] | None = None
        self.erased = erased
        """The erased users"""

    async def erase(self, user_id: str) -> Removed:
        """Erase a user and return the number of removed events and exposures.

        Raises:
            UnavailableError: the store is out of reach; call again.
        """
        at = int(self._clock.latest())
        return await self.read(lambda: erase_user(self._store, self.erased, user_id, at=at))

    def export(self, user_id: str) -> Iterator[Event]:
        """The stored events of a user; blocks while it is read."""
        return self._store.export(user_id)

    def exposures(self, user_id: str) -> Iterator[Exposure]:
        """What was shown to a user; blocks while it is read."""
        return self._store.exposures.of_user(user_id)

    async def read(self, work: Callable[[], T]) -> T:
        """Run work on the store in a thread.

        Raises:
            UnavailableError: the store is out of reach.
        """
        try:
            return await asyncio.to_thread(work)
        except StoreError as error:
            logger.error("%s", error)
            raise UnavailableError("the user's events are out of reach now") from error

    async def start_following(self) -> None:
        """Add the erasures that the store holds, and look for new ones from now on."""
        try:
            async with asyncio.timeout(FIRST_SECONDS):
                await self._carry()
        except TimeoutError:
            logger.error("the store's erasures cannot be read now; those beside the releases count")
        self._following = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Stop following."""
        if self._following is not None:
            self._following.cancel()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            await self._carry()

    async def _carry(self) -> None:
        """Add new erasures; says once that it cannot."""
        try:
            self._last = await asyncio.to_thread(
                carry_erasures, self._store, self.erased, last=self._last
            )
        except ArtifactError as error:
            if not self._silent:
                logger.error("erasures by other servers are not seen now: %s", error)
            self._silent = True
        else:
            self._silent = False
