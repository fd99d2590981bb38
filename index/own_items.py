"""What a shopper had before: how much and how recently, where such items may come back."""

import numpy as np
from numpy.typing import NDArray

from dataset.clock import When
from dataset.interaction_codes import DAY
from index.arrays import Rows, Scores

HALF_LIFE = 120.0
"""Days in which the weight of an interaction halves"""
UNIT = 0.05
"""Amount whose logit is log 2"""


def own_amounts(
    origins: NDArray[np.integer], weights: Scores | None, when: When
) -> tuple[Rows, Scores]:
    """Items of a history, each with its sum of weight × 0.5^(age / `HALF_LIFE`).

    Args:
        origins: (history,) the release's item rows, oldest first.
        weights: (history,) weights of the actions; None if all are equal.
        when: Now and times of the history; where they are unknown, nothing halves.

    Returns:
        Item rows, ascending, and their amounts, both (items,).
    """
    of_each = np.ones(len(origins)) if weights is None else weights.astype(np.float64)
    if when.now is not None and when.times is not None:
        days = np.maximum(when.now - when.times, 0) / DAY
        of_each = of_each * 0.5 ** (days / HALF_LIFE)
    items, of_item = np.unique(origins, return_inverse=True)
    amounts = np.bincount(of_item, of_each, len(items))
    return items.astype(np.int32), amounts.astype(np.float32)


def own_logits(amounts: Scores) -> Scores:
    """(items,) log(1 + amount / `UNIT`): 0 for an item that the shopper never had."""
    logits: Scores = np.log1p(amounts / np.float32(UNIT))
    return logits
