"""How much less a place is looked at than the first one."""

import numpy as np
from numpy.typing import NDArray

from online.estimate import Values
from online.off_policy.logged import NO_ITEM, Logged

ROUNDS = 500
CLOSE = 1e-6


class OverlapError(ValueError):
    """The logged answers do not say enough about the question."""


def examination(logged: Logged, answers: NDArray[np.bool_] | None = None) -> Values:
    """Position-bias curve from the places that exploration gave to items by chance.

    The list's item of a rank, and the answer's first, second, … drawn item, get their places by the
    coins of the exploration alone. So their clicks by place differ by examination only, as after
    the random swaps of Joachims, Swaminathan and Schnabel (WSDM 2017). Fits `clicks = attraction of
    the group × examination of the place` by maximum likelihood of Poisson counts. Answers of
    another share are other groups, because their shoppers may be others.

    Args:
        logged: The answers.
        answers: (answers,) which of them to use; by default all.

    Returns:
        (places,) probability of examination relative to the first place.

    Raises:
        OverlapError: a place has no clicks, or nothing was explored.
    """
    places = logged.items.shape[1]
    shown = logged.items != NO_ITEM
    if not (shown & ~logged.kept).any():
        raise OverlapError("answers must have explored places, got none; set a share to explore")
    if answers is not None:
        shown = shown & answers[:, None]
    shares, of_answer = np.unique(logged.shares, return_inverse=True)
    kind = 2 * of_answer[:, None] + ~logged.kept
    cells = (kind * places + logged.turn) * places + np.arange(places)
    size = 2 * len(shares) * places * places
    counts = np.bincount(cells[shown], minlength=size).reshape(-1, places)
    clicks = np.bincount(cells[shown], logged.rewards[shown], size).astype(np.float64)
    clicks = clicks.reshape(-1, places)
    of_place = clicks.sum(axis=0)
    if not of_place.all():
        place = int(np.flatnonzero(of_place == 0)[0]) + 1
        raise OverlapError(f"place {place} must have clicks, got none; wait for more answers")
    return _fitted(counts, clicks)


def _fitted(counts: NDArray[np.int64], clicks: Values) -> Values:
    """The examination by alternating between both factors, each a closed form given the other."""
    curve = np.ones(counts.shape[1])
    for _ in range(ROUNDS):
        expected = counts @ curve
        attraction = np.divide(
            clicks.sum(axis=1), expected, out=np.zeros(len(counts)), where=expected > 0
        )
        before, curve = curve, clicks.sum(axis=0) / (attraction @ counts)
        curve = curve / curve[0]
        if np.abs(curve - before).max() < CLOSE:
            break
    return curve
