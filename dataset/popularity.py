"""How popular items are, so that no user can make an item popular alone."""

import numpy as np
from numpy.typing import NDArray

from dataset.interaction_codes import DAY


def first_of_day(
    users: NDArray[np.int64],
    items: NDArray[np.int32],
    actions: NDArray[np.int32],
    times: NDArray[np.int64] | None,
) -> NDArray[np.bool_]:
    """Which interactions count: the first of each user, item, action and day.

    Args:
        users: (interactions,) user rows.
        items: (interactions,) item rows.
        actions: (interactions,) action numbers.
        times: (interactions,) Unix seconds, whose days are UTC; without times, all are of one day.

    Returns:
        (interactions,) whether it counts.
    """
    days = np.zeros(len(items), np.int64) if times is None else times // DAY
    order = np.lexsort((np.arange(len(items)), days, actions, items, users))
    again = np.ones(max(len(items) - 1, 0), bool)
    for column in (users, items, actions, days):
        again &= np.diff(column[order]) == 0
    first = np.ones(len(items), bool)
    first[order[1:]] = ~again
    return first


def weighted_users(
    users: NDArray[np.int64], items: NDArray[np.int32], strengths: NDArray[np.float32], n_items: int
) -> NDArray[np.float64]:
    """(items,): number of users of each item, each counted by the largest weight of the two.

    Args:
        users: (interactions,) user rows.
        items: (interactions,) item rows.
        strengths: (interactions,) as returned by `dataset.actions.strengths`.
        n_items: Size of the corpus.
    """
    _, first = np.unique(users.astype(np.int64) * n_items + items, return_index=True)
    counts: NDArray[np.float64] = np.bincount(
        items[first], weights=strengths[first].astype(np.float64), minlength=n_items
    ).astype(np.float64)
    return counts
