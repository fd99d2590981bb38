"""How often items were bought, so that no user can make an item popular alone in a day."""

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
