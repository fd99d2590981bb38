"""Interaction codes: the time gap and the action of each interaction of a history.

One function computes them for stored histories and for histories in requests.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dataset.actions import fold_action

MINUTE, HOUR, DAY = 60, 3_600, 86_400
MICROSECONDS = 1_000_000
"""In a second; the data stage stores times in Unix microseconds, so that they order events."""
EDGES = (1, MINUTE, HOUR, DAY, 7 * DAY, 28 * DAY, 182 * DAY)
"""Seconds at which each kind of gap longer than the same second begins."""
GAPS = 2 + len(EDGES)
"""Number of kinds of gaps: unknown, the same second, and longer ones up to over half a year."""


def interaction_codes(
    times: NDArray[np.int64] | None, actions: NDArray[np.integer], starts: NDArray[np.int64]
) -> NDArray[np.int32]:
    """(interactions,) codes of gap and action: gap + GAPS × action.

    The gap of a history's first interaction is unknown.

    Args:
        times: (interactions,) Unix seconds, not decreasing within a history; None if there are no
            times, so that all gaps are unknown.
        actions: (interactions,) action numbers; 0 for unknown.
        starts: (histories,) offset of each history's first interaction.
    """
    codes = GAPS * np.asarray(actions, np.int32)
    if times is None or not len(codes):
        return codes
    gaps = 1 + np.searchsorted(EDGES, np.diff(times, prepend=times[:1]), side="right")
    gaps[starts[starts < len(gaps)]] = 0
    known: NDArray[np.int32] = codes + gaps.astype(np.int32)
    return known


def whole_seconds(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Unix seconds of stored times; requests and recorded events have no finer ones."""
    return times // MICROSECONDS


def action_numbers(actions: Sequence[str], known: Mapping[str, int]) -> NDArray[np.int32]:
    """(actions,) number of each action by its folded name; 0 for an unknown one."""
    number = {name: known.get(fold_action(name), 0) for name in set(actions)}
    return np.array([number[action] for action in actions], np.int32)


def history_weights(
    of_action: NDArray[np.float32], codes: NDArray[np.integer]
) -> NDArray[np.float32] | None:
    """(history,): weights of a history's interactions, the largest is 1; None if all are equal.

    Args:
        of_action: (1 + actions,) weight of each action number; 0 for those that take away.
        codes: (history,) interaction codes.
    """
    weights = of_action[np.minimum(codes // GAPS, len(of_action) - 1)]
    if not len(weights) or weights.min() == weights.max():
        return None
    relative: NDArray[np.float32] = weights / weights.max()
    return relative
