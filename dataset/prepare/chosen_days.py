"""Leaves out interactions of days that are not to be learnt."""

from dataclasses import replace
from datetime import date, timedelta

import polars as pl

from dataset.config import DataConfig
from dataset.interaction_codes import DAY, MICROSECONDS
from dataset.prepare.cleaning import Dropped
from dataset.prepare.schema import TIME
from dataset.prepare.sources import Source
from dataset.prepare.validation import InputError, reading

RULE = "left-out day"


def of_days(tables: Source, config: DataConfig) -> Source:
    """The source without the interactions of `until` and later, and of the days `without`.

    Args:
        tables: Canonical tables.
        config: The days.

    Raises:
        InputError: the interactions have no times.
    """
    if not config.until and not config.without:
        return tables
    table = tables.interactions
    if TIME not in table.frame.collect_schema():
        raise InputError(
            f"{table.path}: interactions must have times where days are left out (until, without "
            "in data.yaml)"
        )
    time = pl.col(TIME)
    left_out = time >= _start(config.until) if config.until else pl.lit(value=False)
    for day in config.without:
        left_out |= time.is_between(_start(day), _start(day, later=1), closed="left")
    kept = table.frame.filter(~left_out)
    with reading(table.path):
        before, after = (frame.select(pl.len()).collect().item() for frame in (table.frame, kept))
    step = Dropped(table="interactions", rule=RULE, rows_in=before, rows_out=after)
    table.findings.dropped.append(step)
    return replace(tables, interactions=replace(table, frame=kept))


def _start(day: str, later: int = 0) -> int:
    """First microsecond of a day, or of one so many days later."""
    first = date.fromisoformat(day) + timedelta(days=later)
    return (first - date(1970, 1, 1)).days * DAY * MICROSECONDS
