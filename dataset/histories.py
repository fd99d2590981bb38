"""Histories: what stands of a user's interactions before a moment."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dataset.actions import standing
from dataset.interaction_codes import interaction_codes
from dataset.repeats import Repeats

START = np.zeros(1, np.int64)
"""Offsets for a batch of one history"""
NOTHING = np.empty(0, np.int32)


@dataclass(frozen=True, kw_only=True)
class History:
    """One user's history, and the items that the user took away."""

    items: NDArray[np.int32]
    """(history,) item rows, oldest first."""
    interaction_codes: NDArray[np.int32]
    """(history,) interaction codes, see `dataset.interaction_codes`."""
    times: NDArray[np.int64] | None = None
    """(history,) Unix seconds, not decreasing; None where unknown."""
    excluding: NDArray[np.bool_]
    """(history,) whether the interaction's action excludes its item, see `dataset.repeats`."""
    taken: NDArray[np.int32] = field(default_factory=lambda: NOTHING)
    """Item rows that were refunded, hidden or the like and not bought again, ascending."""

    def excluded(self, repeats: Repeats, now: int | None) -> NDArray[np.int32]:
        """Item rows that are not recommended: those that may not come back, and those taken away.

        Args:
            repeats: Rule of the items that may come back.
            now: Unix seconds of the answer; None where unknown.
        """
        own = repeats.excluded(self.items, self.excluding, self.times, now)
        return np.concatenate([own, self.taken]) if len(self.taken) else own


NO_HISTORY = History(items=NOTHING, interaction_codes=NOTHING, excluding=NOTHING.astype(bool))


def history_of(
    items: NDArray[np.int32],
    weights: NDArray[np.float32],
    actions: NDArray[np.int32],
    seconds: NDArray[np.int64] | None,
    excluding: NDArray[np.bool_],
) -> History:
    """The history of one user's interactions.

    Args:
        items: (interactions,) item rows, oldest first.
        weights: (interactions,) weights of the actions, see `dataset.actions`.
        actions: (interactions,) action numbers.
        seconds: (interactions,) Unix seconds, not decreasing; None if there are no times.
        excluding: (interactions,) whether the actions exclude their items.
    """
    stands = standing(np.zeros_like(items), items, weights)
    kept = items[stands]
    times = None if seconds is None else seconds[stands]
    return History(
        items=kept,
        interaction_codes=interaction_codes(times, actions[stands], START),
        times=times,
        excluding=excluding[stands],
        taken=np.setdiff1d(items[weights < 0], items[stands & excluding]).astype(np.int32),
    )


@dataclass(frozen=True, kw_only=True)
class Histories:
    """Interactions of all users, from which the history at any place is read."""

    items: NDArray[np.int32]
    """(interactions,) item rows, by user, oldest first."""
    weights: NDArray[np.float32]
    actions: NDArray[np.int32]
    seconds: NDArray[np.int64] | None
    interaction_codes: NDArray[np.int32]
    """(interactions,) as if all stood."""
    excluding: NDArray[np.bool_]
    """(interactions,) whether the actions exclude their items."""

    def at(self, start: int, end: int) -> History:
        """The history of a user whose interactions before a moment are `[start, end)`."""
        span = slice(start, end)
        items, weights = self.items[span], self.weights[span]
        seconds = None if self.seconds is None else self.seconds[span]
        if (weights > 0).all():
            codes = self.interaction_codes[span]
            excluding = self.excluding[span]
            return History(items=items, interaction_codes=codes, times=seconds, excluding=excluding)
        return history_of(items, weights, self.actions[span], seconds, self.excluding[span])
