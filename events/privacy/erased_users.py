"""The erased users of a folder of releases, in the file `ERASED`; it holds digests, no ids.

Who loads a release honours it: what the release knows of an erased user up to the erasure counts no
more. An erased user who comes back starts anew.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path

from events.event import GRACE
from events.privacy.key_file import KeyFile
from events.privacy.user_names import UserNames, digest_of, length_of
from lineage.journal import Journal, JournalError
from lineage.journal_records import read_journal
from lineage.manifest import ArtifactError

logger = logging.getLogger(__name__)
FILE = "ERASED"
"""File beside a dataset's releases or beside unpublished stages, like the journal of changes"""
PATIENCE_SECONDS = 5.0
"""Longest wait for another process that adds users"""
PAUSE_SECONDS = 0.05


class ErasedUsers:
    """Knows which users are erased; reads the file again when it changes. Thread-safe.

    A user who was erased stays so for this process, even if the file is lost.
    """

    def __init__(self, path: Path | None = None, keys: KeyFile | None = None) -> None:
        """Read the file.

        Args:
            path: The file, which may be missing; None for none.
            keys: Names of the users; by default their ids.

        Raises:
            ArtifactError: the file is damaged.
        """
        self._path, self._keys = path, keys or KeyFile(None)
        self._changing = threading.Lock()
        self._times: dict[str, int] = {}
        self._version = 0
        self._read_at: tuple[int, ...] = ()
        self._read()

    @property
    def names(self) -> UserNames:
        """Names under which users are stored."""
        return self._keys.names

    @property
    def version(self) -> int:
        """Rises with every erasure."""
        self._refresh()
        return self._version

    @property
    def digests(self) -> Mapping[str, int]:
        """Time of the last erasure in Unix seconds, by the digest of a user."""
        self._refresh()
        return self._times

    def digests_of(self, user_id: str) -> tuple[str, ...]:
        """Digests under which an erasure of a user may be noted."""
        return tuple(map(digest_of, self._keys.names.all(user_id)))

    def until(self, user_id: str) -> int | None:
        """The time up to which interactions of a user count no more; None if all count.

        It is a day after the erasure, because an event may be as far ahead of the clock.

        Returns:
            Unix seconds, inclusive.
        """
        at = self.erased_at(user_id)
        return None if at is None else at + GRACE

    def erased_at(self, user_id: str) -> int | None:
        """Time of a user's last erasure, Unix seconds; None if there was none."""
        self._refresh()
        if not self._times:
            return None
        times = [
            self._times[digest] for digest in self.digests_of(user_id) if digest in self._times
        ]
        return max(times, default=None)

    def add(self, erased: Mapping[str, int]) -> None:
        """Add users; the file is on the disk when this returns.

        Args:
            erased: Unix seconds of the erasure, by the digest of the user.

        Raises:
            ArtifactError: the file is damaged, or another process does not let go of it.
            OSError: the file cannot be written; the users are erased for this process alone.
        """
        self._include(erased)
        if self._path is not None and any(not self._is_stored(*one) for one in erased.items()):
            self._change(lambda stored: {**stored, **erased})

    def prolong(self, names: UserNames) -> int:
        """Prolong the keyed names in the file by the current keys; return how many it has changed.

        Raises:
            ArtifactError: as `add`; KeysError if other keys made a name.
            OSError: the file cannot be written.
        """
        if self._path is None or not self._path.exists():
            return 0
        changed = 0

        def prolonged(stored: dict[str, int]) -> dict[str, int]:
            nonlocal changed
            new = {names.prolonged(d) if length_of(d) else d: at for d, at in stored.items()}
            changed = len(new.keys() - stored.keys())
            return new

        self._change(prolonged)
        return changed

    def _change(self, change: Callable[[dict[str, int]], dict[str, int]]) -> None:
        """Change the file: append what is new, or replace it where something goes."""
        assert self._path is not None
        journal = _opened(self._path)
        try:
            stored = _latest(read_journal(self._path))
            wanted = change(stored)
            if stored.keys() <= wanted.keys():
                for digest, at in wanted.items() - stored.items():
                    journal.append(_encoded(digest, at))
            else:
                journal.replace([_encoded(digest, at) for digest, at in wanted.items()])
        finally:
            journal.close()

    def _is_stored(self, digest: str, at: int) -> bool:
        """Whether the file holds an erasure, or a later one of the same user."""
        assert self._path is not None
        if not self._path.exists():
            return False
        return _latest(read_journal(self._path)).get(digest, -1) >= at

    def _refresh(self) -> None:
        """Read the file again if it has changed; keep what is known if it cannot be read."""
        if self._path is None or _state(self._path) == self._read_at:
            return
        try:
            self._read()
        except (ArtifactError, OSError) as error:
            logger.error("erased users known before stay erased: %s", error)

    def _read(self) -> None:
        if self._path is None:
            return
        state = _state(self._path)
        self._read_at = state  # a file that cannot be read is read once, not at each look-up
        self._include(_latest(read_journal(self._path)))

    def _include(self, erased: Mapping[str, int]) -> None:
        with self._changing:
            new = {d: at for d, at in erased.items() if at > self._times.get(d, -1)}
            if new:
                self._times = {**self._times, **new}
                self._version += 1


def erased_beside(folder: Path, key: Path | None = None) -> ErasedUsers:
    """The erased users of a folder of releases or unpublished stages; one object a process.

    Args:
        folder: The folder.
        key: Key file of the users' names, if they are keyed.

    Raises:
        ArtifactError: the file of the erased users is damaged, or the keys cannot be read.
    """
    return _shared(folder.resolve() / FILE, key)


@cache
def _shared(path: Path, key: Path | None) -> ErasedUsers:
    return ErasedUsers(path, KeyFile(key))


def _opened(path: Path) -> Journal:
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return Journal(path)
        except JournalError:
            if time.monotonic() > end:
                raise
            time.sleep(PAUSE_SECONDS)


def _state(path: Path) -> tuple[int, ...]:
    """What changes when a file changes; empty if it is missing."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _latest(records: Iterable[bytes]) -> dict[str, int]:
    """Time of the last erasure by digest."""
    times: dict[str, int] = {}
    for record in records:
        erased = json.loads(record)
        times[erased["digest"]] = max(erased["time"], times.get(erased["digest"], 0))
    return times


def _encoded(digest: str, at: int) -> bytes:
    return json.dumps({"digest": digest, "time": at}).encode()
