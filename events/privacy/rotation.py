"""Prolongs the names of all stored users by the newest key.

Nothing waits for it: stores find users under every name. Killed in the middle, it goes on when it
is called again.
"""

import logging
from collections.abc import Iterator
from itertools import islice

from events.event_store import EventStore
from events.privacy.erased_users import ErasedUsers
from events.privacy.user_names import UserNames, length_of

logger = logging.getLogger(__name__)
RENAMED = 500
"""Users of one transaction"""


def prolong(store: EventStore, erased: ErasedUsers, names: UserNames) -> int:
    """Give every stored user the current name: in events, among the erasures, in the deny list.

    Args:
        store: The store itself, which holds names, not ids.
        erased: The erased users.
        names: The names by all keys.

    Returns:
        Number of renamed users.

    Raises:
        ArtifactError: other keys made a name, or the store is out of reach; the rest is renamed
            when this is called again.
        OSError: the list of erased users cannot be written.
    """
    renamed = 0
    while True:
        pending = _pending(store, names)
        done = 0
        while part := dict(islice(pending, RENAMED)):
            store.rename(part)
            done += len(part)
            logger.info("%d users renamed", renamed + done)
        renamed += done
        if not done:
            break
    erased.prolong(names)
    return renamed


def _pending(store: EventStore, names: UserNames) -> Iterator[tuple[str, str]]:
    """Present and new names of the users whose names are too short."""
    for erasure in store.erasures():
        if 0 < length_of(erasure.digest) < len(names.keys):
            yield erasure.digest, names.prolonged(erasure.digest)
    last = ""
    while users := store.users(after=last):
        last = users[-1]
        for name in users:
            if length_of(name) < len(names.keys):
                yield name, names.prolonged(name)
