"""Turns cleaned tables into arrays: rows instead of ids, and each history contiguous."""

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dataset.actions import relative_weights
from dataset.arrays import VALID, Dataset, StringColumn
from dataset.interaction_codes import action_numbers
from dataset.prepare.actions import actions_of
from dataset.prepare.ordering import chronology, stable_hash
from dataset.prepare.schema import (
    ACTION,
    ITEM,
    MOMENT,
    ORDER,
    RELEVANCE,
    SEARCH,
    SPLIT,
    TEXT,
    TIME,
    TITLE,
    USER,
)
from dataset.searches import NO_SEARCH, Searches

ITEM_ROW, USER_ROW = "item_row", "user_row"


def collected(
    items: pl.LazyFrame, interactions: pl.LazyFrame
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Read the tables in the order of the arrays.

    Items and users are ordered by a hash of their ids, so row numbers carry no information.

    Args:
        items: One row per item.
        interactions: Canonical columns, with `moment`, and `split` as a code.

    Returns:
        Items; users (`user_id`); interactions with `user_row` and `item_row`, by user, oldest
        first.
    """
    items = items.sort(stable_hash(ITEM))
    users = interactions.select(USER).unique().sort(stable_hash(USER))
    keys = chronology(interactions.collect_schema())
    events = (
        interactions.join(items.select(ITEM).with_row_index(ITEM_ROW), on=ITEM)
        .join(users.with_row_index(USER_ROW), on=USER)
        .sort(USER_ROW, MOMENT, *keys, SPLIT)
    )
    all_items, all_users, all_events = pl.collect_all([items, users, events])
    return all_items, all_users, all_events


def to_arrays(
    items: pl.DataFrame,
    users: pl.DataFrame,
    events: pl.DataFrame,
    actions: Mapping[str, float] | None = None,
    elsewhere: Collection[str] = (),
) -> Dataset:
    """Build a dataset from the tables of `collected`, with a `text` column on the items.

    Names and weights of the actions are those of the shop: of every split, so that they mean the
    same before and after an action is first used.

    Args:
        items: One row per item.
        users: One row per user.
        events: Interactions.
        actions: Weights of actions that the configuration gives, by name.
        elsewhere: Names of actions of the shop's other tables, "" for none.
    """
    item_rows = events[ITEM_ROW].cast(pl.Int32).to_numpy()
    splits = events[SPLIT].to_numpy()
    used = {*actions_of(events), *elsewhere}
    names = sorted(used - {""})
    numbers = np.zeros(len(events), np.int32)
    if ACTION in events.columns:
        number_of = {name: number for number, name in enumerate(names, 1)}
        numbers = action_numbers(events[ACTION].to_list(), number_of)
    data = Dataset(
        item_ids=StringColumn.of(items[ITEM].to_list()),
        titles=StringColumn.of(items[TITLE].to_list()),
        texts=StringColumn.of(items[TEXT].to_list()),
        user_ids=StringColumn.of(users[USER].to_list()),
        offsets=_offsets(events[USER_ROW].to_numpy(), len(users)),
        items=item_rows,
        times=events[TIME if TIME in events.columns else ORDER].to_numpy(),
        timed=_timed(events),
        moments=events[MOMENT].cast(pl.Int32).to_numpy(),
        actions=numbers,
        action_names=names,
        splits=splits,
        popularity=np.zeros(len(items)),
        action_weights=relative_weights(used, actions or {}),
        searches=_searches(events),
    )
    return replace(data, popularity=data.popularity_before(VALID))


def _searches(events: pl.DataFrame) -> Searches | None:
    """Search and relevance of every interaction; None if there is a column of neither."""
    if SEARCH not in events.columns and RELEVANCE not in events.columns:
        return None
    of = np.full(len(events), NO_SEARCH, np.int32)
    relevance = np.ones(len(events), np.float32)
    texts: list[str] = []
    if SEARCH in events.columns:
        texts = events.filter(pl.col(SEARCH) != "")[SEARCH].unique().sort().to_list()
        places = {text: place for place, text in enumerate(texts)}
        of[:] = [places.get(text, NO_SEARCH) for text in events[SEARCH].to_list()]
    if RELEVANCE in events.columns:
        relevance[:] = events[RELEVANCE].to_numpy()
    return Searches(texts=StringColumn.of(texts), of=of, relevance=relevance)


def _timed(events: pl.DataFrame) -> bool:
    """Whether there are times, and none decreases within a user's order."""
    if TIME not in events.columns:
        return False
    back = (pl.col(TIME).diff() < 0) & (pl.col(USER_ROW).diff() == 0)
    return not events.select(back.any()).item()


def _offsets(user_rows: NDArray[np.uint32], users: int) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.bincount(user_rows, minlength=users))])
