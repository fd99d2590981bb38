"""Erases a user from a store, and carries erasures from a store to the releases beside it."""

import logging

from events.event_store import Erasure, EventStore, Removed
from events.privacy.erased_users import ErasedUsers
from events.privacy.keyed_store import KeyedStore
from events.privacy.user_names import digest_of

logger = logging.getLogger(__name__)


def erase_user(store: EventStore, erased: ErasedUsers, user_id: str, *, at: int) -> Removed:
    """Remove a user's events and exposures, and hide what releases know of the user.

    Args:
        store: Store of the events; it keeps the erasure for the servers that share it.
        erased: Erased users of the releases.
        user_id: The user.
        at: Unix seconds.

    Returns:
        Number of removed events and exposures.

    Raises:
        ArtifactError: the store or the list of erased users cannot be changed; call again.
    """
    digest = digest_of(erased.names.current(user_id))
    removed = store.erase([user_id], digest=digest, at=at)
    _add(erased, {digest: at})
    return removed


def carry_erasures(
    store: EventStore, erased: ErasedUsers, *, last: Erasure | None = None
) -> Erasure | None:
    """Add the erasures that the store holds to the erased users.

    A store without the last one was brought back from a copy, or is another one: users who are
    erased beside the releases are then erased from it too. So is a store at first.

    Args:
        store: Store of the events.
        erased: Erased users of the releases.
        last: The last erasure that was added; None at first.

    Returns:
        The last erasure; None if there is none.

    Raises:
        ArtifactError: the store is out of reach, or the list of erased users is damaged.
    """
    found = [] if last is None else store.erasures(last.sequence - 1)
    if last is None or not found or _place(found[0]) != _place(last):
        _erase_again(store, erased)
        found, last = store.erasures(), None
    if new := {
        one.digest: one.time for one in found if last is None or one.sequence > last.sequence
    }:
        _add(erased, new)
    return found[-1] if found else None


def _place(erasure: Erasure) -> tuple[int, int]:
    """What stays the same when names are prolonged, and is another one in a restored store."""
    return erasure.sequence, erasure.time


def _erase_again(store: EventStore, erased: ErasedUsers) -> None:
    """Erase the users from a store that does not know of their erasure."""
    names = store.store if isinstance(store, KeyedStore) else store
    prolonged = erased.names.prolonged_digest  # some may be renamed by a new key, others not yet
    known = {prolonged(erasure.digest) for erasure in names.erasures()}
    missing = {d: at for d, at in erased.digests.items() if prolonged(d) not in known}
    if not missing:
        return
    stored, last = dict[str, str](), ""
    while users := names.users(after=last):
        last = users[-1]
        stored |= {digest: user for user in users if (digest := digest_of(user)) in missing}
    for digest, at in missing.items():
        removed = names.erase([stored[digest]] if digest in stored else [], digest=digest, at=at)
        if any(removed):
            logger.warning(
                "%d events and %d exposures of an erased user are removed again", *removed
            )


def _add(erased: ErasedUsers, users: dict[str, int]) -> None:
    """Add users; where the folder cannot be written, this process and the store know them."""
    try:
        erased.add(users)
    except OSError as error:
        logger.error("erased users are not noted beside the releases: %s", error)
