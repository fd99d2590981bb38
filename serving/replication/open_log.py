"""Opens the log of item changes: a journal, or a table that several servers share."""

import logging
from pathlib import Path

from events.open_store import POSTGRESQL
from lineage.journal_records import read_journal
from lineage.manifest import ArtifactError
from serving.replication.journal_log import JournalLog
from serving.replication.protocol import ChangeLog

logger = logging.getLogger(__name__)
JOURNAL = "journal"


def open_log(address: str | None, journal: Path, *, events: str) -> ChangeLog:
    """Open the log of item changes.

    A table that nobody has written to takes over what the journal holds.

    Args:
        address: `postgresql://user@host/database`, or `journal`; by default the database of the
            events, or the journal if their store is a file.
        journal: Path of the journal.
        events: Address of the event store.

    Raises:
        ArtifactError: the database is out of reach, a package is missing, or the journal is
            damaged.
    """
    chosen = events if address is None and events.startswith(POSTGRESQL) else address or JOURNAL
    if chosen == JOURNAL:
        return JournalLog(journal)
    if not chosen.startswith(POSTGRESQL):
        raise ArtifactError(
            f"changes must be {JOURNAL!r} or begin with {POSTGRESQL[0]}, got {chosen!r}"
        )
    try:
        from serving.replication.postgresql_log import PostgresqlLog
    except ImportError as missing:
        raise ArtifactError(
            f"PostgreSQL needs the extra `postgresql`: `pip install '.[postgresql]'` ({missing})"
        ) from missing
    log = PostgresqlLog(chosen)
    if log.untouched and (records := read_journal(journal)):
        start = log.read(None).position
        if log.replace(records, after=start) is not None:
            logger.warning(
                "%s: its %d records are in PostgreSQL now; the file is not used any more",
                journal,
                len(records),
            )
    return log
