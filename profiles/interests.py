"""Interests: groups of similar items of a history.

The medoids are those that the BUILD step of PAM chooses (Kaufman & Rousseeuw, "Finding groups in
data", 1990), with items weighted: each next one lowers most the distance of all items to their
medoids. Nothing is drawn at random.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEWEST = 256
"""Newest distinct items that are grouped"""
MOST = 6
"""Groups, at most"""
LEAST_GAIN = 0.08
"""Share of the distance to one medoid that another must save"""
TYPICAL = 3
"""Items shown of a group"""
HALF_LIFE = 30
"""Interactions after which one counts half"""


@dataclass(frozen=True, kw_only=True)
class Group:
    """One group of items."""

    members: NDArray[np.int64]
    """Positions of its items among the grouped ones, ascending"""
    typical: NDArray[np.int64]
    """Positions of its medoid and of the nearest to it"""
    weight: float
    """Share of the weight of all items"""


def recency(length: int, half_life: float = HALF_LIFE) -> NDArray[np.float64]:
    """(length,): weight of each interaction of a history, oldest first; 1 for the newest."""
    weights: NDArray[np.float64] = 0.5 ** (np.arange(length)[::-1] / half_life)
    return weights


def grouped(embeddings: NDArray[np.float32], weights: NDArray[np.float64]) -> list[Group]:
    """Groups of items, heaviest first.

    Args:
        embeddings: (items, dimension) of unit length, at most `NEWEST` items.
        weights: (items,) positive.
    """
    if not len(embeddings):
        return []
    distances = 1 - np.clip(embeddings @ embeddings.T, -1, 1)
    medoids = _medoids(distances, weights.astype(np.float32))
    of_item = np.argmin(distances[medoids], axis=0)
    groups = [
        _group(distances, weights, medoid, np.flatnonzero(of_item == place))
        for place, medoid in enumerate(medoids)
    ]
    return sorted(groups, key=lambda group: (-group.weight, int(group.typical[0])))


def _medoids(distances: NDArray[np.float32], weights: NDArray[np.float32]) -> list[int]:
    """Positions of the medoids, in the order in which they were chosen."""
    first = int(np.argmin(distances @ weights))
    chosen, nearest = [first], distances[first]
    whole = float(nearest @ weights)
    while len(chosen) < min(MOST, len(distances)):
        saved = np.maximum(nearest - distances, 0) @ weights
        best = int(np.argmax(saved))
        if saved[best] <= LEAST_GAIN * whole:
            break
        chosen.append(best)
        nearest = np.minimum(nearest, distances[best])
    return chosen


def _group(
    distances: NDArray[np.float32],
    weights: NDArray[np.float64],
    medoid: int,
    members: NDArray[np.int64],
) -> Group:
    nearest = members[np.argsort(distances[medoid][members], kind="stable")]
    others = nearest[nearest != medoid][: TYPICAL - 1]
    return Group(
        members=members,
        typical=np.concatenate([[medoid], others]).astype(np.int64),
        weight=float(weights[members].sum() / weights.sum()),
    )
