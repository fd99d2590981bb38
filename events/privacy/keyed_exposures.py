"""Exposures whose users are named by keys. Callers pass ids; only names are stored."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from typing_extensions import override

from events.exposures.exposure_store import END, ExposureStore
from events.privacy.key_file import KeyFile
from shortlist_client.api.exposure import Exposure


class KeyedExposures(ExposureStore):
    """Stores exposures under the current name of their user; strangers have none."""

    def __init__(self, store: ExposureStore, keys: KeyFile) -> None:
        self._store, self._keys = store, keys

    @override
    def append(
        self, exposures: Sequence[Exposure], *, digests: Sequence[Collection[str]] = ()
    ) -> int:
        names = self._keys.names
        named = [
            replace(exposure, user_id=names.current(exposure.user_id))
            if exposure.user_id
            else exposure
            for exposure in exposures
        ]
        return self._store.append(named, digests=digests)

    @override
    def scan(self, *, since: int = 0, until: int = END) -> Iterator[Exposure]:
        return self._store.scan(since=since, until=until)

    @override
    def of_user(self, user_id: str) -> Iterator[Exposure]:
        for name in self._keys.names.all(user_id):
            for exposure in self._store.of_user(name):
                yield replace(exposure, user_id=user_id)

    @override
    def count(self) -> int:
        return self._store.count()

    @override
    def prune(self, *, before: int, rows: int) -> int:
        return self._store.prune(before=before, rows=rows)
