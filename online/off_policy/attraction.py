"""A direct model of clicks for the doubly robust estimate: the smoothed rate of each item."""

import numpy as np

from online.estimate import Values
from online.off_policy.logged import NO_ITEM, Logged, Rows, folds

FOLDS = 5
PRIOR = 20.0
"""Examinations that the overall rate counts for in an item's rate"""


def item_rates(logged: Logged, ranking: Rows, curve: Values) -> Values:
    """Expected reward of each item of a ranking if it is examined.

    An answer's rates come from other users, so that no click is counted twice.

    Returns:
        (answers, places) rates; 0 where no item is.
    """
    of_fold = folds(logged.users, FOLDS)
    rates = np.zeros(ranking.shape)
    codes, numbered = np.unique(np.append(ranking, logged.items), return_inverse=True)
    of_ranking = numbered[: ranking.size].reshape(ranking.shape)
    of_items = numbered[ranking.size :].reshape(logged.items.shape)
    examined = np.where(logged.items == NO_ITEM, 0.0, curve)
    for fold in range(FOLDS):
        others, mine = of_fold != fold, of_fold == fold
        at = of_items[others].ravel()
        clicks = np.bincount(at, logged.rewards[others].ravel(), len(codes))
        looks = np.bincount(at, examined[others].ravel(), len(codes))
        overall = clicks.sum() / max(looks.sum(), 1e-12)
        smoothed = (clicks + PRIOR * overall) / (looks + PRIOR)
        rates[mine] = smoothed[of_ranking[mine]]
    return np.where(ranking == NO_ITEM, 0.0, rates)
