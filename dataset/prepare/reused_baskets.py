"""Baskets whose id came again later: one id of a user for several purchases, such as the week's."""

from datetime import UTC, datetime

import polars as pl

from dataset.interaction_codes import DAY, HOUR, MICROSECONDS
from dataset.prepare.schema import BASKET, TIME, USER

LONGEST = DAY
"""Seconds that one basket may span; a longer one is several under one id"""
GAP = 6 * HOUR
"""Seconds without an interaction that end each of them"""
_FIRST, _LAST, _PART = "first", "last", "part"
_OF = [USER, BASKET]


def divided_baskets(interactions: pl.LazyFrame) -> tuple[pl.LazyFrame, str]:
    """Divide baskets that span more than `LONGEST` at every gap above `GAP`.

    Otherwise a user's purchases of weeks would be one moment, and those of the test period in
    training. Without times nothing can be said. Reads baskets and times.

    Args:
        interactions: Canonical columns; rows without a user are one user's.

    Returns:
        The interactions, and a note that names the first of the longest such baskets; empty if
        there are none.
    """
    if not {BASKET, TIME} <= set(interactions.collect_schema().names()):
        return interactions, ""
    first, last = pl.col(TIME).min().alias(_FIRST), pl.col(TIME).max().alias(_LAST)
    spans = interactions.filter(pl.col(BASKET).is_not_null()).group_by(_OF).agg(first, last)
    span = pl.col(_LAST) - pl.col(_FIRST)
    long = (
        spans.filter(span > LONGEST * MICROSECONDS)
        .sort(span, BASKET, _FIRST, descending=[True, False, False])
        .collect()
    )
    if long.is_empty():
        return interactions, ""
    rows = interactions.join(long.lazy().select(_OF), on=_OF, how="semi", nulls_equal=True)
    others = interactions.join(long.lazy().select(_OF), on=_OF, how="anti", nulls_equal=True)
    begins = pl.col(TIME).diff().fill_null(0) > GAP * MICROSECONDS
    parts = (
        rows.sort(*_OF, TIME)
        .with_columns(begins.cum_sum().over(_OF).alias(_PART))
        .with_columns(pl.format("{} part {}", BASKET, _PART).alias(BASKET))
        .drop(_PART)
    )
    return pl.concat([others, parts]), _said(long)


def _said(long: pl.DataFrame) -> str:
    example = long.row(0, named=True)
    first, last = (_day(example[name]) for name in (_FIRST, _LAST))
    return (
        f"column {BASKET!r} has {len(long):,} baskets of one user that span more than a day, such "
        f"as {example[BASKET]!r} from {first} to {last}: their ids came again, so they are divided "
        f"where {GAP // HOUR} hours lie between; give every purchase an id of its own"
    )


def _day(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / MICROSECONDS, UTC).strftime("%Y-%m-%d")
