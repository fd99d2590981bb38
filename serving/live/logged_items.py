"""The items of a release after every change that was read from a log."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lineage.manifest import RECORD, ArtifactError
from lineage.releases import release_folders
from serving.catalogue.change_log import Change, encoded, latest
from serving.engine.cascade import Cascade
from serving.engine.engine import Engine
from serving.live.compaction import compact
from serving.live.item_changes import ItemChanges
from serving.replication.protocol import ChangeLog, Position

logger = logging.getLogger(__name__)


class LoggedItems:
    """Reads a log and appends to it. One thread at a time may call it; any may read `state`."""

    def __init__(self, base: Engine, root: Path, log: ChangeLog) -> None:
        """Read the log.

        Args:
            base: Engine of the release.
            root: Folder of the release.
            log: Log of the item changes.

        Raises:
            ArtifactError: the log is damaged or out of reach, or the release's models cannot encode
                its items.
        """
        self._root = root
        self.changes = ItemChanges(base, root)
        """Encodes and applies changes"""
        self.log = log
        """Log of the item changes"""
        self.state = self.changes.unchanged()
        """Items and engine after the changes; immutable"""
        self._position: Position | None = None
        self.read()

    def read(self) -> None:
        """Apply what is new in the log.

        Raises:
            ArtifactError: as for the constructor; what was known stays in force.
        """
        tail = self.log.read(self._position)
        changes = latest(tail.records)
        if tail.whole:
            self.state = self.changes.replayed(changes, self.state)
        else:
            self.state = self.changes.applied(changes, self.state)
        self._position = tail.position

    def recount(self, cascade: Cascade) -> None:
        """Use other counts of purchases from now on: those of a release without changes."""
        self.state = self.changes.recounted(cascade, self.state)

    def claim(self) -> None:
        """Become the writer of the log, with everything in it applied.

        Raises:
            JournalHeldError: another process is its writer.
            ArtifactError: as for the constructor.
            OSError: the log cannot be opened for writing.
        """
        is_new = self.log.claim()
        self.read()
        if is_new:
            self._compact()

    def append(self, changes: Sequence[Change]) -> bool:
        """Append changes and apply them.

        Returns:
            False, and nothing has changed, if the log has more than was read: then read, and decide
            again.

        Raises:
            ArtifactError: the log is out of reach, or another process is its writer.
            OSError: the disk is full or refuses the write; nothing has changed.
        """
        assert self._position is not None
        if not changes:
            return True
        now = time.time()
        stamped = [replace(change, when=now) for change in changes]
        position = self.log.append(encoded(stamped), after=self._position)
        if position is None:
            return False
        self.state = self.changes.applied({c.item_id: c for c in stamped}, self.state)
        self._position = position
        return True

    @contextmanager
    def with_log(self, log: ChangeLog) -> Iterator[None]:
        """Use another log, read to its end; the former one again if the block raises.

        Raises:
            ArtifactError: as for the constructor.
        """
        former = self.log, self._position
        try:
            if log is not self.log:
                self.log, self._position = log, None
            self.read()
            if log.claimed:
                self._compact()
            yield
        except BaseException:
            self.log, self._position = former
            raise
        if former[0] is not log:
            former[0].close()

    def _compact(self) -> None:
        """Drop the changes that no retained release needs; if that fails, keep all."""
        published = (self._root / RECORD).is_file()
        retained = release_folders(self._root.parent) if published else []
        try:
            done = compact(
                self.log,
                retained,
                improved=lambda changes: self.changes.in_own_form(changes, self.state),
            )
        except (ArtifactError, OSError) as error:
            logger.warning("changes of items stay as they are: %s", error)
            return
        if done is not None:
            logger.info("%d item changes dropped: no release needs them", done.dropped)
            if done.before == self._position:
                self._position = done.after
