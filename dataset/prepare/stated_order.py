"""A stated order of a user's interactions beside times that contradict it."""

from datetime import UTC, datetime

import polars as pl

from dataset.interaction_codes import MICROSECONDS
from dataset.prepare.schema import ORDER, TIME, USER

FEW = 0.1
"""Share of the users up to which the times count where the order contradicts them"""
_PLACE, _AT = "place before", "time before"


def settled_order(interactions: pl.LazyFrame) -> tuple[pl.LazyFrame, str]:
    """Let times count for the users whose order contradicts them, if these are few.

    Where they are many, the order counts, and the times of nobody.

    Args:
        interactions: Canonical columns.

    Returns:
        The interactions, and a note with the number of users and an example; empty where nothing
        contradicts.
    """
    if not {ORDER, TIME} <= set(interactions.collect_schema().names()):
        return interactions, ""
    before = [pl.col(name).shift(1).over(USER) for name in (ORDER, TIME)]
    back = (
        interactions.select(USER, ORDER, TIME)
        .sort(USER, ORDER, TIME)
        .with_columns(before[0].alias(_PLACE), before[1].alias(_AT))
        .filter(pl.col(TIME) < pl.col(_AT))
        .collect()
    )
    if back.is_empty():
        return interactions, ""
    users = back[USER].unique()
    of = interactions.select(pl.col(USER).n_unique()).collect().item()
    said = (
        f"column {ORDER!r} contradicts the times of {len(users):,} of {of:,} users, such as "
        f"{ORDER} {back[ORDER][0]} at {_shown(back[TIME][0])} after {back[_PLACE][0]} at "
        f"{_shown(back[_AT][0])}"
    )
    if len(users) > FEW * of:
        return interactions, f"{said}: {ORDER} counts, and times do not; correct one of the columns"
    order = pl.when(~pl.col(USER).is_in(users.to_list())).then(ORDER).otherwise(0)
    return interactions.with_columns(order.alias(ORDER)), f"{said}: for them the times count"


def _shown(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / MICROSECONDS, UTC).strftime("%Y-%m-%d %H:%M:%S")
