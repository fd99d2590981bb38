"""Erases a user from a store, and carries erasures from a store to the releases beside it."""

import logging

from events.event_store import EventStore
from events.privacy.erased_users import ErasedUsers
from events.privacy.user_names import digest_of

logger = logging.getLogger(__name__)


def erase_user(store: EventStore, erased: ErasedUsers, user_id: str, *, at: int) -> int:
    """Remove a user's events, and hide what releases know of the user.

    Args:
        store: Store of the events; it keeps the erasure for the servers that share it.
        erased: Erased users of the releases.
        user_id: The user.
        at: Unix seconds.

    Returns:
        Number of removed events.

    Raises:
        ArtifactError: the store or the list of erased users cannot be changed; call again.
    """
    digest = digest_of(erased.names.current(user_id))
    removed = store.erase([user_id], digest=digest, at=at)
    _add(erased, {digest: at})
    return removed


def carry_erasures(store: EventStore, erased: ErasedUsers, *, after: int) -> int:
    """Add the erasures that the store holds to the erased users.

    Args:
        store: Store of the events.
        erased: Erased users of the releases.
        after: Sequence number of the last erasure that was added.

    Returns:
        Sequence number of the last erasure.

    Raises:
        ArtifactError: the store is out of reach, or the list of erased users is damaged.
    """
    new = store.erasures(after)
    if new:
        _add(erased, {erasure.digest: erasure.time for erasure in new})
    return new[-1].sequence if new else after


def _add(erased: ErasedUsers, users: dict[str, int]) -> None:
    """Add users; where the folder cannot be written, this process and the store know them."""
    try:
        erased.add(users)
    except OSError as error:
        logger.error("erased users are not noted beside the releases: %s", error)
