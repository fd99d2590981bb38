"""The protocol of change logs: records in one order, which every server applies.

Errors:
    ArtifactError
        LogUnavailableError: the log cannot be read or written now; a retry may help.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lineage.manifest import ArtifactError


class LogUnavailableError(ArtifactError):
    """The log cannot be read or written now."""


@dataclass(frozen=True)
class Position:
    """A place between two records of a log; means something to that log alone."""

    generation: int
    """Tells contents apart that share places"""
    place: int
    """Grows with every record"""


@dataclass(frozen=True)
class Tail:
    """Records of a log, oldest first."""

    records: Sequence[bytes]
    position: Position
    """Place after the last record"""
    whole: bool
    """Whether these are all records: the reader drops what it knew. Else they follow what the
    reader has read before."""


class ChangeLog(Protocol):
    """Stores records in one order. Does not interpret them. Thread-safe.

    Who decides on a change reads up to the end, decides, and appends `after` that position. If
    another server was faster, nothing is appended, and the decision is made again. So all servers
    decide in the order of the log. Every method may raise ArtifactError or OSError.
    """

    def claim(self) -> bool:
        """Become able to append, if that needs more than a connection.

        Returns:
            Whether this call made the difference; then a compaction is due.

        Raises:
            JournalHeldError: another process appends.
        """

    @property
    def claimed(self) -> bool:
        """Whether this process may append."""

    def read(self, after: Position | None) -> Tail:
        """Records after a position; all records where `after` is None or the log was rewritten."""

    def append(self, record: bytes, after: Position) -> Position | None:
        """Append a record; it is on the disk when this returns.

        Returns:
            The position after the record; None, and nothing is appended, if `after` is not the end.
        """

    def replace(self, records: Sequence[bytes], after: Position) -> Position | None:
        """Replace all records by others at once; readers notice it.

        Returns:
            The position after the last record; None, and nothing changes, if `after` is not the
            end.
        """

    def wait(self, seconds: float, stopped: threading.Event) -> None:
        """Wait until there may be new records, `stopped` is set or the time has passed."""

    def size(self) -> int:
        """Size of the log, bytes; the last known one while the log is out of reach."""

    def close(self) -> None:
        """Release what the log holds. Using it again opens it again."""
