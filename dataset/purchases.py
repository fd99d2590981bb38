"""Which interactions count as purchases, and since when some of them do not."""

import numpy as np
from numpy.typing import NDArray

from dataset.actions import STRONG, taken_by
from dataset.interaction_codes import DAY
from dataset.popularity import first_of_day

STANDS = -1
"""Time of taking away of what nothing takes away"""


def purchases(
    users: NDArray[np.int64],
    items: NDArray[np.int32],
    actions: NDArray[np.int32],
    times: NDArray[np.int64],
    weights: NDArray[np.float32],
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Interactions that count as purchases, and when they were taken away.

    Those of strong actions count, each user, item, action and day once: as of any time, the first
    that stands. So one that follows a refund on the same day counts anew.

    Args:
        users: (interactions,) user rows.
        items: (interactions,) item rows, oldest first for a user and an item.
        actions: (interactions,) action numbers.
        times: (interactions,) Unix seconds.
        weights: (interactions,) weights of the actions.

    Returns:
        (interactions,) whether each counts; (interactions,) Unix seconds since which it does not,
        `STANDS` if nothing takes it away.
    """
    strong = weights >= STRONG
    counted = np.zeros(len(items), bool)
    counted[strong] = first_of_day(users[strong], items[strong], actions[strong], times[strong])
    taken, by = np.full(len(items), STANDS), taken_by(users, items, weights)
    gone = np.flatnonzero(by >= 0)
    if len(gone):
        taken[gone] = times[by[gone]]
        pairs = users * (1 + int(items.max())) + items
        touched = np.flatnonzero(strong & np.isin(pairs, pairs[gone]))
        counted[touched] = _first_standing(
            touched, pairs[touched], actions[touched], times[touched] // DAY, by[touched]
        )
    return counted, taken


def _first_standing(
    places: NDArray[np.int64],
    pairs: NDArray[np.int64],
    actions: NDArray[np.int32],
    days: NDArray[np.int64],
    by: NDArray[np.int64],
) -> list[bool]:
    """Whether each purchase was the only one of its pair, action and day that stood when it came.

    `by` are the places of what takes the purchases away, as of `taken_by`.
    """
    until, counted = dict[tuple[int, ...], int](), list[bool]()
    columns = (places, by, pairs, actions, days)
    for place, end, *unit in zip(*(column.tolist() for column in columns), strict=True):
        before = until.get(tuple(unit))
        counted.append(before is None or 0 <= before < place)
        if counted[-1]:
            until[tuple(unit)] = end
    return counted
