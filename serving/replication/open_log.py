"""Opens the log of item changes: a journal, or a table that several servers share."""

import logging
import os
import weakref
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from events.open_store import POSTGRESQL
from lineage.journal_records import read_journal
from lineage.locking import lock_file
from lineage.manifest import ArtifactError
from serving.replication.journal_log import JournalLog
from serving.replication.protocol import ChangeLog

if TYPE_CHECKING:
    from serving.replication.postgresql_log import PostgresqlLog

logger = logging.getLogger(__name__)
JOURNAL = "journal"
SHARERS = "servers that share item changes in PostgreSQL"
TAKEN_OVER = ".in-postgresql"
"""Ends the name of a journal whose records are in PostgreSQL"""


def open_log(address: str | None, journal: Path, *, events: str) -> ChangeLog:
    """Open the log of item changes.

    A table that nobody has written to takes over what the journal holds. While servers share the
    table, no process can write the journal: what it acknowledged would reach nobody else.

    Args:
        address: `postgresql://user@host/database`, or `journal`; by default the database of the
            events, or the journal if their store is a file.
        journal: Path of the journal.
        events: Address of the event store.

    Raises:
        ArtifactError: the database is out of reach, a package is missing, or the journal is
            damaged or being written by another process.
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
    try:
        _keep_others_from(journal, log)
        _take_over(journal, log)
    except BaseException:
        log.close()
        raise
    return log


def _keep_others_from(journal: Path, log: "PostgresqlLog") -> None:
    """Let no process write the journal until the log is closed.

    Raises:
        ArtifactError: a process is writing it.
    """
    try:
        lock, owner = lock_file(journal.with_name(f"{journal.name}.lock"), sharers=SHARERS)
    except OSError:  # a folder that cannot be written; so nobody writes the journal either
        return
    if lock is None:
        raise ArtifactError(
            f"{journal} is being written by {owner}; stop it, so that all servers share item "
            "changes in PostgreSQL"
        )
    log.on_close = weakref.finalize(log, os.close, lock)


def _take_over(journal: Path, log: "PostgresqlLog") -> None:
    """Copy the journal into a new table, and move it away."""
    if not (records := read_journal(journal)):
        return
    if not log.untouched or log.replace(records, after=log.read(None).position) is None:
        logger.warning(
            "%s: its %d records are not used, because PostgreSQL has others; if they are missing "
            "there, send the changes again; then move the file away",
            journal,
            len(records),
        )
        return
    logger.warning(
        "%s: its %d records are in PostgreSQL now; the file is not used any more",
        journal,
        len(records),
    )
    with suppress(OSError):
        journal.rename(journal.with_name(f"{journal.name}{TAKEN_OVER}"))
