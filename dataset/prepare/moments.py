"""Numbers each user's moments: interactions that happened together, none before another."""

import polars as pl

from dataset.interaction_codes import MICROSECONDS
from dataset.prepare.schema import BASKET, MOMENT, ORDER, TIME, USER

_AXIS, _START, _END, _AGREES = "moment axis", "moment start", "moment end", "moment agrees"


def with_moments(interactions: pl.LazyFrame, *, basket_minutes: float = 0) -> pl.LazyFrame:
    """Number the moments of each user, oldest first.

    Interactions of one time are one moment, as are those of one basket, and those that a gap of at
    most `basket_minutes` divides. Baskets that overlap in time are one moment, because neither is
    before the other. Where there are no times, or they contradict the stated order of a user, the
    order counts instead; a user's interactions of one time are then one moment with all between.

    Args:
        interactions: Canonical columns, with `time` or `order`, and maybe `basket`.
        basket_minutes: Longest gap within a moment, minutes.

    Returns:
        The interactions with `moment`, from 0 for each user.
    """
    schema = interactions.collect_schema()
    together = [pl.col(BASKET)] if BASKET in schema else []
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
