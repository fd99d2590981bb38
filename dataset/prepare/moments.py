"""Numbers each user's moments: interactions that happened together, none before another."""

import polars as pl

from dataset.interaction_codes import DAY, MICROSECONDS
from dataset.prepare.schema import BASKET, MOMENT, ORDER, SEARCH, TIME, USER, WEIGHT
from lineage.counted import counted

LONGEST = DAY * MICROSECONDS
"""Microseconds that a moment may span, so that none reaches from training into the test"""
_AXIS, _START, _END, _AGREES = "moment axis", "moment start", "moment end", "moment agrees"
_DAY = "moment day"


def with_moments(interactions: pl.LazyFrame, *, basket_minutes: float = 0) -> pl.LazyFrame:
    """Number the moments of each user, oldest first.

    Interactions of one time are one moment, as are those of one basket, and those that a gap of at
    most `basket_minutes` divides. Baskets that overlap in time are one moment, because neither is
    before the other. A refund under its order's number happened at its own time: what has no
    positive weight belongs to no basket here. Where there are no times, or they contradict the
    stated order of a user, the order counts instead; a user's interactions of one time are then one
    moment with all between.

    Args:
        interactions: Canonical columns, with `time` or `order`, and maybe `basket` and `weight`.
        basket_minutes: Longest gap within a moment, minutes.

    Returns:
        The interactions with `moment`, from 0 for each user.
    """
    schema = interactions.collect_schema()
    together = [_own_basket(schema)] if BASKET in schema else []
    gap = pl.lit(round(basket_minutes * 60 * MICROSECONDS))
    if TIME not in schema:
        axis, gap = pl.col(ORDER), pl.lit(0)
    elif ORDER not in schema:
        axis = pl.col(TIME)
    else:
        interactions = interactions.with_columns(_agrees().alias(_AGREES))
        axis = pl.when(_AGREES).then(TIME).otherwise(ORDER)
        gap = pl.when(_AGREES).then(gap).otherwise(0)
        together.append(pl.col(TIME))
    start, end = (_bound(least=least, together=together) for least in (True, False))
    spans = interactions.with_columns(axis.alias(_AXIS)).with_columns(
        start.alias(_START), end.alias(_END)
    )
    earlier = pl.col(_END).cum_max().shift(1).over(USER)
    begins = (pl.col(_START) > earlier + gap).fill_null(value=True)
    return (
        spans.sort(USER, _START, _END)
        .with_columns((begins.cast(pl.Int32).cum_sum().over(USER) - 1).alias(MOMENT))
        .drop(_AXIS, _START, _END, _AGREES, strict=False)
    )


def divided_moments(events: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """Divide moments that span more than a day at the days (UTC).

    Many people under one account make such moments: their sessions and baskets overlap.

    Args:
        events: Have `moment` and `time`, which no stated order contradicts.

    Returns:
        The interactions, and a note that says how many moments were divided; empty for none.
    """
    span = pl.col(TIME).max() - pl.col(TIME).min()
    long = events.group_by(USER, MOMENT).agg(span).filter(pl.col(TIME) > LONGEST)
    if long.is_empty():
        return events, ""
    day = pl.when(span.over(USER, MOMENT) > LONGEST).then(pl.col(TIME) // LONGEST)
    keyed = events.with_columns(day.fill_null(0).alias(_DAY)).sort(USER, MOMENT, _DAY)
    begins = (pl.col(MOMENT).diff() != 0) | (pl.col(_DAY).diff() != 0)
    number = begins.fill_null(value=False).cast(pl.Int32).cum_sum()
    note = (
        f"{counted(len(long), 'moment')} of {counted(long[USER].n_unique(), 'user')} "
        f"{'spans' if len(long) == 1 else 'span'} more than a day, as where "
        f"many people share an account or `basket_minutes` is long; they are divided at the days "
        "(UTC)"
    )
    return keyed.with_columns(number.over(USER).alias(MOMENT)).drop(_DAY), note


def _own_basket(schema: pl.Schema) -> pl.Expr:
    """The basket that an interaction happened in; null for none, and for refunds."""
    return pl.when(pl.col(WEIGHT) > 0).then(BASKET) if WEIGHT in schema else pl.col(BASKET)


def divided_searches(events: pl.DataFrame) -> pl.DataFrame:
    """Give every search of a moment a moment of its own, in the order of time.

    Args:
        events: Have `moment`, and maybe `search`.
    """
    if SEARCH not in events.columns:
        return events
    stated = [name for name in (ORDER, TIME) if name in events.columns]
    rows = events.sort(USER, MOMENT, *stated, SEARCH)
    begins = (pl.col(MOMENT).diff() != 0) | pl.col(SEARCH).ne_missing(pl.col(SEARCH).shift(1))
    number = begins.fill_null(value=False).cast(pl.Int32).cum_sum()
    return rows.with_columns(number.over(USER).alias(MOMENT))


def _agrees() -> pl.Expr:
    """Whether no time decreases within the user's stated order."""
    return (pl.col(TIME).sort_by(ORDER, TIME).diff() >= 0).all().over(USER)


def _bound(*, least: bool, together: list[pl.Expr]) -> pl.Expr:
    """First or last place of everything that one basket, or else one time, holds together."""
    place = pl.col(_AXIS)
    bound = place
    for group in reversed(together):
        of_group = (place.min() if least else place.max()).over(USER, group)
        bound = pl.when(group.is_not_null()).then(of_group).otherwise(bound)
    return bound
