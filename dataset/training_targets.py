"""Which interactions the towers learn to predict, and how much each counts."""

import numpy as np
from numpy.typing import NDArray

from dataset.repeats import Repeats


def sought(
    users: NDArray[np.int64],
    items: NDArray[np.int32],
    begins: NDArray[np.int64],
    excluding: NDArray[np.bool_],
    *,
    seconds: NDArray[np.int64] | None,
    repeats: Repeats,
) -> NDArray[np.bool_]:
    """(interactions,): whether one is to be predicted: the first with its item in its moment.

    The item is new to the user, or it may come back and an action of the moment excludes it.

    Args:
        users: (interactions,) user rows, ascending.
        items: (interactions,) item rows, oldest first within a user.
        begins: (interactions,) place of the first interaction of each one's moment.
        excluding: (interactions,) whether the action excludes the item.
        seconds: (interactions,) Unix seconds; None without times.
        repeats: Rule of the items that may come back.
    """
    order, new = _by_pair(users, items)
    heads = np.flatnonzero(new | (np.diff(begins[order], prepend=-1) != 0))  # of pair and moment
    found = np.zeros(len(items), bool)
    if not len(heads):
        return found
    excludes = np.logical_or.reduceat(excluding[order], heads)
    number = np.arange(len(heads))
    last = np.maximum.accumulate(np.where(excludes, number, -1))  # of the moments that exclude
    before = np.append(-1, last[:-1])
    of_pair = np.maximum.accumulate(np.where(new[heads], number, 0))
    left_out = before >= of_pair
    if seconds is not None and repeats.coming_back:
        latest = np.maximum.reduceat(np.where(excluding, seconds, 0)[order], heads)
        left_out &= repeats.recent(latest[before], seconds[begins[order[heads]]])
    elif repeats.after_days == 0:
        left_out[:] = False
    found[order[heads[new[heads] | (excludes & ~left_out)]]] = True
    return found


def until_the_next(
    users: NDArray[np.int64],
    items: NDArray[np.int32],
    targets: NDArray[np.bool_],
    weights: NDArray[np.float32],
) -> NDArray[np.float32]:
    """(interactions,): largest weight of a user and item from a target until it is one again.

    Args:
        users: (interactions,) user rows, ascending.
        items: (interactions,) item rows, oldest first within a user.
        targets: (interactions,) as `sought` returns it.
        weights: (interactions,) weights of the actions.
    """
    if not len(items):
        return weights
    order, _ = _by_pair(users, items)
    starts = np.flatnonzero(targets[order])  # the first of every pair is a target
    largest = np.empty_like(weights)
    of_start = np.maximum.reduceat(weights[order], starts)
    largest[order] = np.repeat(of_start, np.diff(np.append(starts, len(items))))
    return largest


def _by_pair(
    users: NDArray[np.int64], items: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Places by user, item and time; and whether each is the user's first with the item."""
    order = np.lexsort((np.arange(len(items)), items, users))
    new = np.ones(len(items), bool)
    new[1:] = (np.diff(users[order]) != 0) | (np.diff(items[order]) != 0)
    return order, new
