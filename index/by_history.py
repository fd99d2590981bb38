"""What the recall sources know of a history alone: its neighbours, and what comes back."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dataset.clock import When
from dataset.interaction_codes import DAY
from index.arrays import Rows, Scores
from index.config import NeighboursConfig
from index.item_knn import NeighbourLists

NEWEST = 300
"""Newest items of a history that weigh something where it decays by time"""
OWN_HALF_LIFE = 120.0
"""Days in which the weight of an interaction with an own item halves"""
OWN_UNIT = 0.05
"""Amount of an own item whose logit is log 2"""
NOTHING = np.empty(0, np.int32), np.empty(0, np.float32)
"""No item rows, no scores"""


class ByHistory(NamedTuple):
    """Item rows of the release, ascending, each with its score, by source; and the history."""

    items: Rows
    """(history,) item rows, oldest first"""
    neighbours: tuple[Rows, Scores]
    """Item-kNN scores of the items in the lists of the history"""
    own: tuple[Rows, Scores]
    """Amounts of the history's items, see `own_amounts`"""


def neighbour_scores(
    lists: NeighbourLists | None,
    config: NeighboursConfig,
    origins: Rows,
    weights: Scores | None,
    when: When,
    *,
    forgotten: bool,
) -> tuple[Rows, Scores]:
    """Item rows with an item-kNN score, ascending, and the scores; none without lists.

    Args:
        lists: Item-kNN lists.
        config: How a history decays: by time if it has a half-life and times are known.
        origins: (history,) the release's item rows, oldest first.
        weights: (history,) weights of the actions; None if all are equal.
        when: Now and times of the history.
        forgotten: As for `NeighbourLists.scores`.
    """
    if lists is None:
        return NOTHING
    decay = config.decay
    if config.half_life and when.now is not None and when.times is not None:
        decay, origins = 1.0, origins[-NEWEST:]
        by_time = _halved(when.now, when.times[-NEWEST:], config.half_life).astype(np.float32)
        weights = by_time if weights is None else by_time * weights[-NEWEST:]
    return lists.scores(origins, decay=decay, forgotten=forgotten, weights=weights)


def own_amounts(
    origins: NDArray[np.integer], weights: Scores | None, when: When
) -> tuple[Rows, Scores]:
    """Items of a history, each with its sum of weight × 0.5^(age / `OWN_HALF_LIFE`).

    Args:
        origins: (history,) the release's item rows, oldest first.
        weights: (history,) weights of the actions; None if all are equal.
        when: Now and times of the history; where they are unknown, nothing halves.

    Returns:
        Item rows, ascending, and their amounts, both (items,).
    """
    of_each = np.ones(len(origins)) if weights is None else weights.astype(np.float64)
    if when.now is not None and when.times is not None:
        of_each = of_each * _halved(when.now, when.times, OWN_HALF_LIFE)
    items, of_item = np.unique(origins, return_inverse=True)
    amounts = np.bincount(of_item, of_each, len(items))
    return items.astype(np.int32), amounts.astype(np.float32)


def own_logits(amounts: Scores) -> Scores:
    """(items,) log(1 + amount / `OWN_UNIT`): 0 for an item that the shopper never had."""
    logits: Scores = np.log1p(amounts / np.float32(OWN_UNIT))
    return logits


def looked_up(origins: NDArray[np.integer], known: Rows, scores: Scores) -> Scores:
    """(items,) scores of rows among `known`, which ascend; 0 for others."""
    if not len(known):
        return np.zeros(len(origins), np.float32)
    place = np.minimum(np.searchsorted(known, origins), len(known) - 1)
    return np.where(known[place] == origins, scores[place], 0).astype(np.float32)


def _halved(now: int, times: NDArray[np.int64], half_life: float) -> NDArray[np.float64]:
    """(history,) weights that halve with every half-life, days."""
    halved: NDArray[np.float64] = 0.5 ** (np.maximum(now - times, 0) / DAY / half_life)
    return halved
