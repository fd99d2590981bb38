"""Rows without a user: baskets of nobody known, which count for items and are in no history."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from dataset.actions import taken_by, takes_away
from dataset.arrays import TEST, TRAIN, VALID, Dataset
from dataset.baskets import Baskets
from dataset.interaction_codes import action_numbers
from dataset.prepare.actions import with_weights
from dataset.prepare.cleaning import Dropped, of_known_items
from dataset.prepare.ordering import stable_hash
from dataset.prepare.schema import ACTION, BASKET, ITEM, ORDER, SPLIT, TIME, USER, WEIGHT
from dataset.prepare.split import CODES, Splitted
from lineage.counted import counted

TABLE = "baskets"
NO_USER = "no user, kept as baskets"
_ROW = "item_row"


def divided(
    interactions: pl.LazyFrame,
) -> tuple[pl.LazyFrame, pl.LazyFrame | None, tuple[Dropped, ...]]:
    """Divide interactions into those of users, and those of baskets without a user.

    Args:
        interactions: Canonical columns.

    Returns:
        Interactions of users; the others, or None without any; how many were set aside.
    """
    if BASKET not in interactions.collect_schema():
        return interactions, None, ()
    nobody = pl.col(USER).is_null()
    rows, without = interactions.select(pl.len(), nobody.sum().alias("none")).collect().row(0)
    if not without:
        return interactions, None, ()
    step = Dropped(table="interactions", rule=NO_USER, rows_in=rows, rows_out=rows - without)
    return interactions.filter(~nobody), interactions.filter(nobody), (step,)


def clean_baskets(
    baskets: pl.LazyFrame, items: pl.LazyFrame
) -> tuple[pl.DataFrame, tuple[Dropped, ...]]:
    """Baskets without duplicate rows and unknown items, and how many rows each rule dropped.

    Args:
        baskets: Interactions without a user.
        items: The items that are kept.
    """
    distinct = baskets.unique()
    frames = (baskets, distinct, of_known_items(distinct, items))
    *counts, kept = pl.collect_all([*(frame.select(pl.len()) for frame in frames), frames[-1]])
    rows = [count.item() for count in counts]
    rules = ("exact duplicate", "unknown item")
    return kept, tuple(
        Dropped(table=TABLE, rule=rule, rows_in=before, rows_out=after)
        for rule, before, after in zip(rules, rows, rows[1:], strict=False)
    )


def said_of(baskets: pl.DataFrame) -> str:
    """What becomes of the rows without a user, in one line."""
    return (
        f"{counted(len(baskets), 'row')} without a user "
        f"{'is' if len(baskets) == 1 else 'are'} {counted(baskets[BASKET].n_unique(), 'basket')}: "
        "counted for items, and in no history"
    )


def note_on_idle(baskets: pl.DataFrame, actions: Mapping[str, float]) -> str:
    """What the report says of refunds that find nothing in their basket; empty without any.

    Args:
        baskets: Cleaned interactions without a user.
        actions: Weights of the configuration.
    """
    order = TIME if TIME in baskets.columns else ORDER
    rows = with_weights(baskets.lazy(), actions).collect()
    rows = rows.sort(BASKET, order, pl.col(WEIGHT) < 0, ITEM)
    numbers = [rows[name].rank("dense").cast(pl.Int64).to_numpy() for name in (BASKET, ITEM)]
    by = taken_by(numbers[0], numbers[1], rows[WEIGHT].to_numpy())
    working = np.isin(np.arange(len(rows)), by)
    idle = rows.filter((pl.col(WEIGHT) < 0) & ~pl.Series(working, dtype=pl.Boolean))
    if idle.is_empty():
        return ""
    item, basket, action = idle.select(ITEM, BASKET, ACTION).row(0)
    of = counted(int((rows[WEIGHT] < 0).sum()), "row")
    return (
        f"{len(idle):,} of {of} without a user that should take away "
        f"{'finds' if len(idle) == 1 else 'find'} nothing to take, such as {action!r} of item "
        f"{item!r}: basket {basket!r} has no "
        f"earlier purchase of it left; give such rows the {BASKET!r} of their purchase"
    )


def split_baskets(baskets: pl.DataFrame, splitted: Splitted) -> pl.DataFrame:
    """Baskets with `split` as a code: the stated one, or by the times at which the users' are cut.

    Where users are split by leave-one-out, all baskets are training data. A basket that a cut
    divides is in both splits.

    Args:
        baskets: Cleaned interactions without a user.
        splitted: The interactions of users.
    """
    if SPLIT in baskets.columns:
        return baskets.with_columns(pl.col(SPLIT).replace_strict(CODES, return_dtype=pl.UInt8))
    code = pl.lit(TRAIN, pl.UInt8)
    for later, start in zip((VALID, TEST), splitted.cuts, strict=False):
        code = pl.when(pl.col(TIME) >= start).then(pl.lit(later, pl.UInt8)).otherwise(code)
    return baskets.with_columns(code.alias(SPLIT))


def to_baskets(baskets: pl.DataFrame, items: pl.DataFrame, data: Dataset) -> Baskets:
    """The arrays of baskets; only an item's actions within a basket are in order, oldest first.

    Args:
        baskets: Cleaned interactions without a user, with `split` as a code.
        items: The items in the order of the arrays.
        data: Names and weights of the actions.
    """
    order = [pl.col(TIME if TIME in baskets.columns else ORDER)]
    if ACTION in baskets.columns:
        order += [pl.col(ACTION).is_in(takes_away(data.action_weights)), pl.col(ACTION)]
    rows = (
        baskets.join(items.select(ITEM).with_row_index(_ROW), on=ITEM)
        .with_columns(stable_hash(BASKET).alias("hash"))
        .sort("hash", BASKET, _ROW, *order)
    )
    starts = np.flatnonzero(rows[BASKET].ne_missing(rows[BASKET].shift(1)).to_numpy())
    numbers = np.zeros(len(rows), np.int32)
    if ACTION in rows.columns:
        known = {name: number for number, name in enumerate(data.action_names, 1)}
        numbers = action_numbers(rows[ACTION].to_list(), known)
    return Baskets(
        offsets=np.append(starts, len(rows)).astype(np.int64),
        items=rows[_ROW].cast(pl.Int32).to_numpy(),
        times=rows[TIME if TIME in rows.columns else ORDER].to_numpy(),
        actions=numbers,
        splits=rows[SPLIT].to_numpy(),
    )
