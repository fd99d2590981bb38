"""Writes recorded events as a table of interactions, for the next rebuild."""

from collections.abc import Collection, Iterable
from itertools import islice
from pathlib import Path

import polars as pl

from dataset.actions import fold_action
from dataset.prepare.schema import ACTION, ITEM, TIMESTAMP, USER
from lineage.whole_files import replacing
from shortlist_client.api.event import Event

SCHEMA = {USER: pl.String, ITEM: pl.String, TIMESTAMP: pl.Int64, ACTION: pl.String}
BATCH = 100_000


def write_events(events: Iterable[Event], path: Path, actions: Collection[str]) -> int:
    """Write events in the form of `interactions.parquet`: user, item, timestamp (s) and action.

    The file is replaced completely or not at all. Equal events give equal bytes.

    Args:
        events: In the order of the rows.
        path: File to write or replace.
        actions: Folded names of the actions to write. Events with others are left out, because
            the models would not learn from them.

    Returns:
        Number of rows written.

    Raises:
        OSError: the disk is full or refuses; the old file stays.
    """
    remaining, parts = iter(events), [pl.DataFrame(schema=SCHEMA)]
    while batch := list(islice(remaining, BATCH)):
        rows = [
            (e.user_id, e.item_id, e.time, e.action)
            for e in batch
            if fold_action(e.action) in actions
        ]
        parts.append(pl.DataFrame(rows, schema=SCHEMA, orient="row"))
    table = pl.concat(parts)
    with replacing(path) as partial, partial.open("wb") as file:
        table.write_parquet(file)
    return len(table)
