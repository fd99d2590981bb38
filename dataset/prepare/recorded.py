"""Adds events that servers recorded to the interactions of a source."""

from dataclasses import replace
from pathlib import Path

import polars as pl

from dataset.interaction_codes import MICROSECONDS
from dataset.prepare.actions import folded
from dataset.prepare.no_interactions import has_rows
from dataset.prepare.privacy import PrivacyFiles
from dataset.prepare.schema import (
    ACTION,
    ITEM,
    ORDER,
    RELEVANCE,
    SEARCH,
    SPLIT,
    TIME,
    TIMESTAMP,
    USER,
)
from dataset.prepare.sources import Source
from dataset.prepare.validation import InputError
from lineage.whole_files import replacing

FILLED: dict[str, str | float] = {ACTION: "", SEARCH: "", RELEVANCE: 1.0}
"""What a row has in a column that only the other table has"""


def with_recorded(tables: Source, path: Path) -> Source:
    """The source with recorded events among its interactions; one in both counts once.

    Args:
        tables: Canonical tables.
        path: File that `dataset.prepare.events_file.write_events` wrote.

    Raises:
        InputError: the interactions have no times to put the events among, or state their splits.
    """
    events, own = _read(path), tables.interactions.frame
    if has_rows(tables.interactions):
        columns = own.collect_schema().names()
        if TIME not in columns:
            raise InputError(
                f"{tables.interactions.path}: interactions must have times where recorded events "
                f"are added, got the columns {columns}; export them as {TIMESTAMP!r}"
            )
        if SPLIT in columns:
            raise InputError(
                f"{tables.interactions.path}: interactions must not state their split where "
                "recorded events are added, because these have none; leave the column out: "
                f"`ignore: [{SPLIT}]` in data.yaml"
            )
        events = pl.concat([own.drop(ORDER, strict=False), events], how="diagonal_relaxed")
    names = events.collect_schema().names()
    filled = [pl.col(name).fill_null(FILLED[name]) for name in FILLED if name in names]
    return replace(
        tables, interactions=replace(tables.interactions, frame=events.with_columns(filled))
    )


def keep_recorded(kept: Path, newer: Path, privacy: PrivacyFiles) -> int:
    """Add newer events to a file of kept ones; so events outlive their store, but no erasure.

    Args:
        kept: File to replace; it may be missing.
        newer: File that `dataset.prepare.events_file.write_events` wrote.
        privacy: Erased users, and the users' keys.

    Returns:
        Number of kept events.

    Raises:
        ArtifactError: the list of erased users is damaged.
        OSError: the disk is full or refuses; the old file stays.
    """
    read = [_read(path) for path in (kept, newer) if path.is_file()]
    events, _ = privacy.apply(pl.concat(read))
    table = (
        events.select(USER, ITEM, (pl.col(TIME) // MICROSECONDS).alias(TIMESTAMP), ACTION)
        .unique()
        .sort(TIMESTAMP, USER, ITEM, ACTION)
        .collect()
    )
    with replacing(kept) as partial, partial.open("wb") as file:
        table.write_parquet(file)
    return len(table)


def _read(path: Path) -> pl.LazyFrame:
    return pl.scan_parquet(path).select(
        USER, ITEM, (pl.col(TIMESTAMP) * MICROSECONDS).alias(TIME), folded(ACTION)
    )
