"""Baskets whose id came again later: one id of a user for several purchases, such as the week's."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

import numpy as np
import polars as pl

from dataset.actions import taken_by
from dataset.interaction_codes import DAY, HOUR, MICROSECONDS
from dataset.prepare.actions import with_weights
from dataset.prepare.schema import BASKET, ITEM, TIME, USER, WEIGHT

LONGEST = DAY
"""Seconds that one basket may span; a longer one is several under one id"""
GAP = 6 * HOUR
"""Seconds without an interaction that end each of them"""
NONE: Mapping[str, float] = MappingProxyType({})
NOBODY = pl.DataFrame()
_FIRST, _LAST, _PART, _ID = "first", "last", "part", "basket number"
_OF = [USER, BASKET]


def divided_baskets(
    interactions: pl.LazyFrame, actions: Mapping[str, float] = NONE
) -> tuple[pl.LazyFrame, pl.DataFrame]:
    """Divide baskets that span more than `LONGEST` at every gap above `GAP`.

    Otherwise a user's purchases of weeks would be one moment, and those of the test period in
    training. Only interactions of positive weight span a basket, so a refund under its order's
    number divides nothing. A refund joins the part that it takes away from. Without times nothing
    can be said. Reads baskets and times.

    Args:
        interactions: Canonical columns; rows without a user are one user's.
        actions: Weights of the configuration.

    Returns:
        The interactions; the divided baskets with `first` and `last` time, longest first.
    """
    columns = interactions.collect_schema().names()
    if not {BASKET, TIME} <= set(columns):
        return interactions, pl.DataFrame()
    weighted = with_weights(interactions, actions)
    first, last = pl.col(TIME).min().alias(_FIRST), pl.col(TIME).max().alias(_LAST)
    counted = weighted.filter(pl.col(BASKET).is_not_null() & (pl.col(WEIGHT) > 0))
    span = pl.col(_LAST) - pl.col(_FIRST)
    long = (
        counted.group_by(_OF)
        .agg(first, last)
        .filter(span > LONGEST * MICROSECONDS)
        .sort(span, BASKET, _FIRST, descending=[True, False, False])
        .with_row_index(_ID)
        .collect()
    )
    if long.is_empty():
        return interactions, long
    keys = long.lazy().select(*_OF, _ID)
    rows = weighted.join(keys, on=_OF, nulls_equal=True).collect()
    others = interactions.join(keys, on=_OF, how="anti", nulls_equal=True)
    named = pl.format("{} part {}", BASKET, _PART).alias(BASKET)
    parts = _with_parts(rows).with_columns(named).select(columns)
    return pl.concat([others, parts.lazy()]), long


def note_on_reused(of_users: pl.DataFrame, without_user: pl.DataFrame = NOBODY) -> str:
    """What the report says of the divided baskets; names one of the longest, empty for none."""
    known = [long for long in (of_users, without_user) if len(long)]
    if not known:
        return ""
    longest = (long.row(0, named=True) for long in known)
    example = max(longest, key=lambda row: row[_LAST] - row[_FIRST])
    first, last = (_day(example[name]) for name in (_FIRST, _LAST))
    counts = [
        f"{len(long):,} basket{'' if len(long) == 1 else 's'} {whose}"
        for long, whose in ((of_users, "of one user"), (without_user, "without a user"))
        if len(long)
    ]
    return (
        f"column {BASKET!r} has {' and '.join(counts)} that span more than a day, such as "
        f"{example[BASKET]!r} from {first} to {last}: one id stands for several baskets, so they "
        f"are divided where {GAP // HOUR} hours lie between; give every purchase an id of its own"
    )


def _with_parts(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of long baskets with the number of their part, from 0.

    Rows of positive weight begin a part after each gap. Any other row has the part of what it takes
    away, else the latest part before it that holds its item, else the latest part before it.
    """
    rows = rows.sort(_ID, TIME, pl.col(WEIGHT) <= 0, ITEM, WEIGHT)
    counts = pl.col(WEIGHT) > 0
    before = pl.when(counts).then(TIME).forward_fill().shift(1).over(_ID)
    begins = counts & (pl.col(TIME) - before > GAP * MICROSECONDS).fill_null(value=False)
    rows = rows.with_columns(begins.cast(pl.Int64).cum_sum().over(_ID).alias(_PART))
    of_item = pl.when(counts).then(_PART).forward_fill().over(_ID, ITEM)
    return rows.with_columns(pl.coalesce(_parts_taken_from(rows), of_item, _PART).alias(_PART))


def _parts_taken_from(rows: pl.DataFrame) -> pl.Series:
    """The part of what each row takes away; null if it takes nothing away."""
    items = rows[ITEM].rank("dense").cast(pl.Int64).to_numpy()
    by = taken_by(rows[_ID].cast(pl.Int64).to_numpy(), items, rows[WEIGHT].to_numpy())
    found, gone = np.full(len(rows), -1), np.flatnonzero(by >= 0)
    np.maximum.at(found, by[gone], rows[_PART].to_numpy()[gone])
    return pl.Series(found, dtype=pl.Int64).replace(-1, None)


def _day(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / MICROSECONDS, UTC).strftime("%Y-%m-%d")
