"""Recorded events as a table of interactions, for the next rebuild to learn from."""

import os
from collections.abc import Collection, Iterable
from itertools import islice
from pathlib import Path

import polars as pl

from dataset.prepare.schema import ACTION, ITEM, TIMESTAMP, USER
from lineage.locking import flush
from shortlist_client.api.event import Event

SCHEMA = {USER: pl.String, ITEM: pl.String, TIMESTAMP: pl.Int64, ACTION: pl.String}
BATCH = 100_000


def write_events(events: Iterable[Event], path: Path, actions: Collection[str]) -> int:
    """Write events as `interactions.parquet` has them: user, item, timestamp (s) and action.

    The file is there whole or not at all; the same events make the same file.

    Args:
        events: In the order of the rows.
        path: Of the file, which takes the place of another one.
        actions: Those that are written; of no interaction is anything to be learnt otherwise.

    Returns:
        Rows that were written.

    Raises:
        OSError: the disk is full or refuses; what was there before is there still.
    """
    left, parts = iter(events), [pl.DataFrame(schema=SCHEMA)]
    while batch := list(islice(left, BATCH)):
        rows = [(e.user_id, e.item_id, e.time, e.action) for e in batch if e.action in actions]
        parts.append(pl.DataFrame(rows, schema=SCHEMA, orient="row"))
    table, partial = pl.concat(parts), path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as file:
            table.write_parquet(file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    flush(path.parent)
    return len(table)
