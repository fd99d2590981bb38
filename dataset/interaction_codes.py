"""When and how a shopper came to an item: what a history says beside its items.

One function makes it of stored histories and of those in requests.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

MINUTE, HOUR, DAY = 60, 3_600, 86_400
EDGES = (1, MINUTE, HOUR, DAY, 7 * DAY, 28 * DAY, 182 * DAY)
"""Seconds since the interaction before, from which the next kind of gap begins."""
GAPS = 2 + len(EDGES)
"""Kinds of gaps: unknown, then from the same second to more than half a year."""


def contexts(
    times: NDArray[np.int64] | None, actions: NDArray[np.integer], starts: NDArray[np.int64]
) -> NDArray[np.int32]:
    """(interactions,) code of each interaction's gap and action: gap + GAPS × action.

    Args:
        times: (interactions,) Unix seconds, none earlier than the one before in a history; None
            where there are none, whose gaps are then unknown, as is that of a history's first.
        actions: (interactions,) 0 where the action is unknown, else its number.
        starts: Where each history begins.
    """
    codes = GAPS * np.asarray(actions, np.int32)
    if times is None or not len(codes):
        return codes
    gaps = 1 + np.searchsorted(EDGES, np.diff(times, prepend=times[:1]), side="right")
    gaps[starts[starts < len(gaps)]] = 0
    known: NDArray[np.int32] = codes + gaps.astype(np.int32)
    return known


def action_numbers(actions: Sequence[str], known: Mapping[str, int]) -> NDArray[np.int32]:
    """(actions,) number of each action, 0 for one that is not known."""
    return np.array([known.get(action, 0) for action in actions], np.int32)
