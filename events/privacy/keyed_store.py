"""An event store whose users are named by keys. Callers pass ids; only names are stored."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from typing_extensions import override

from events.event import Outcome
from events.event_store import Erasure, EventStore, Removed, Row
from events.exposures.exposure_store import ExposureStore
from events.privacy.key_file import KeyFile
from events.privacy.keyed_exposures import KeyedExposures
from shortlist_client.api.event import Event


class KeyedStore(EventStore):
    """Stores events under the current name of their user, and finds them under every name.

    So nothing is lost while the names of a store are being prolonged by a new key.
    """

    def __init__(self, store: EventStore, keys: KeyFile) -> None:
        """Take the store, which `close` closes, and the keys."""
        self._keys = keys
        self.store = store
        """The store of the names"""
        self._exposures = KeyedExposures(store.exposures, keys)

    @property
    @override
    def exposures(self) -> ExposureStore:
        return self._exposures

    @override
    def append(self, events: Sequence[Event], *, clients: Sequence[str] = ()) -> list[Outcome]:
        names = self._keys.names
        named = [replace(event, user_id=names.current(event.user_id)) for event in events]
        outcomes = self.store.append(named, clients=clients)
        for length in reversed(range(len(names.keys))):
            unsure = [n for n, outcome in enumerate(outcomes) if outcome is Outcome.CONFLICT]
            if not unsure:
                break
            before = [
                replace(events[n], user_id=names.at(events[n].user_id, length)) for n in unsure
            ]
            senders = [clients[n] for n in unsure] if clients else ()
            for n, outcome in zip(unsure, self.store.append(before, clients=senders), strict=True):
                outcomes[n] = outcome
        return outcomes

    @override
    def history(self, user_id: str, actions: Sequence[str], limit: int) -> list[Event]:
        found = [self.store.history(name, actions, limit) for name in self._keys.names.all(user_id)]
        merged = list(heapq.merge(*filter(None, found), key=lambda event: event.time))
        return merged[max(0, len(merged) - limit) :]

    @override
    def count(self) -> int:
        return self.store.count()

    @override
    def prune(self, before: int) -> int:
        return self.store.prune(before)

    @override
    def scan(self) -> Iterator[Event]:
        return self.store.scan()

    @override
    def since(
        self, sequence: int, actions: Sequence[str], *, later_than: int
    ) -> Iterator[Sequence[Row]]:
        return self.store.since(sequence, actions, later_than=later_than)

    @override
    def export(self, user_id: str) -> Iterator[Event]:
        for name in self._keys.names.all(user_id):
            for event in self.store.export(name):
                yield replace(event, user_id=user_id)

    @override
    def erase(self, user_ids: Sequence[str], *, digest: str, at: int) -> Removed:
        names = [name for user_id in user_ids for name in self._keys.names.all(user_id)]
        return self.store.erase(names, digest=digest, at=at)

    @override
    def erasures(self, after: int = 0) -> Sequence[Erasure]:
        return self.store.erasures(after)

    @override
    def rename(self, names: Mapping[str, str]) -> int:
        return self.store.rename(names)

    @override
    def users(self, after: str = "") -> Sequence[str]:
        return self.store.users(after)

    @override
    def close(self) -> None:
        self.store.close()
