"""Adds events that servers recorded to the interactions of a source."""

from dataclasses import replace
from pathlib import Path

import polars as pl

from dataset.interaction_codes import MICROSECONDS
from dataset.prepare.actions import folded
from dataset.prepare.no_interactions import has_rows
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


def _read(path: Path) -> pl.LazyFrame:
    return pl.scan_parquet(path).select(
        USER, ITEM, (pl.col(TIMESTAMP) * MICROSECONDS).alias(TIME), folded(ACTION)
    )
