"""Counts what happened on each day, before anything is cleaned: what a bad export is told by."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from dataset.interaction_codes import DAY, MICROSECONDS
from dataset.prepare.schema import ACTION, ITEM, TIME, USER
from dataset.prepare.sources import Source

LENGTH = DAY * MICROSECONDS
_DAY, _REPEATS, _AGAIN, _UNKNOWN = "day", "repeats", "again", "unknown"


@dataclass(frozen=True, kw_only=True)
class Day:
    """What the tables have of one day (UTC)."""

    day: date
    events: int = 0
    """Rows"""
    users: int = 0
    """Distinct users; baskets without a user do not count"""
    items: int = 0
    """Distinct items"""
    repeated: int = 0
    """Rows that equal an earlier row in user, item, action and time"""
    again: int = 0
    """Rows whose user did the same with the same item exactly a day before"""
    unknown: int = 0
    """Rows of items that the catalogue does not have"""
    top_item: str = ""
    """Item of most rows"""
    top: int = 0
    """Its rows"""


def days_of(tables: Source) -> Sequence[Day]:
    """Every day from the first interaction to the last, in order; days without any are empty.

    Args:
        tables: Canonical tables, whose interactions have times.
    """
    rows = tables.interactions.frame.select(
        USER, ITEM, TIME, _action(tables.interactions.frame.collect_schema())
    )
    key = [USER, ITEM, ACTION, TIME]
    known = tables.items.frame.select(ITEM).unique().with_columns(pl.lit(0).alias(_UNKNOWN))
    day_before = rows.select(USER, ITEM, ACTION, pl.col(TIME) + LENGTH).unique()
    counted = (
        rows.with_columns(
            (pl.col(TIME) // LENGTH).alias(_DAY),
            (pl.int_range(pl.len()).over(key) > 0).alias(_REPEATS),
        )
        .join(known, on=ITEM, how="left")
        .join(
            day_before.with_columns(pl.lit(value=True).alias(_AGAIN)),
            on=key,
            how="left",
            nulls_equal=True,
        )
    )
    of_days, of_items = pl.collect_all(
        [
            counted.group_by(_DAY).agg(
                pl.len().alias("events"),
                pl.col(USER).drop_nulls().n_unique().alias("users"),
                pl.col(ITEM).n_unique().alias("items"),
                pl.col(_REPEATS).sum().alias("repeated"),
                pl.col(_AGAIN).fill_null(value=False).sum().alias("again"),
                pl.col(_UNKNOWN).is_null().sum().alias("unknown"),
            ),
            counted.group_by(_DAY, ITEM).agg(pl.len().alias("top")).sort("top", ITEM),
        ]
    )
    tops = of_items.group_by(_DAY).agg(pl.col(ITEM).last().alias("top_item"), pl.col("top").last())
    found = {
        row.pop(_DAY): row for row in of_days.join(tops, on=_DAY, how="left").iter_rows(named=True)
    }
    if not found:
        return []
    return [
        Day(day=date(1970, 1, 1) + timedelta(days=number), **found.get(number, {}))
        for number in range(min(found), max(found) + 1)
    ]


def _action(schema: pl.Schema) -> pl.Expr:
    return pl.col(ACTION) if ACTION in schema else pl.lit("").alias(ACTION)
