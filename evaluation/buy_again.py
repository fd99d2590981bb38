"""The baseline of items that come back: what a user did most and last, again."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import Rows

DAY = 86_400
HALF_LIFE = 60.0
"""Days in which the weight of an interaction halves"""


def buy_again_lists(
    histories: Sequence[Rows],
    ages: Sequence[NDArray[np.int64]],
    weights: Sequence[NDArray[np.floating]],
    k: int,
    *,
    excluded: Sequence[Rows],
) -> NDArray[np.int32]:
    """The k items of each history with the largest sum of weight × 0.5^(age / `HALF_LIFE`).

    Args:
        histories: Item rows of each case.
        ages: Seconds since each interaction of the histories.
        weights: Weights of the interactions' actions.
        k: Items per case.
        excluded: Item rows of each case to leave out.

    Returns:
        (cases, k) item rows, best first, the later one first among equals; -1 if no item is left.
    """
    lists = np.full((len(histories), k), -1, np.int32)
    columns = zip(histories, ages, weights, excluded, strict=True)
    for row, (history, age, weight, left_out) in zip(lists, columns, strict=True):
        newest_first = history[::-1]
        items, first, of_item = np.unique(newest_first, return_index=True, return_inverse=True)
        decay = 0.5 ** (np.maximum(age, 0) / DAY / HALF_LIFE)
        sums = np.bincount(of_item, (weight * decay)[::-1], len(items))
        order = np.lexsort((first, -sums))
        best = items[order][~np.isin(items[order], left_out)][:k]
        row[: len(best)] = best
    return lists
