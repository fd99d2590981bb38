"""How unequally items are shown, and bands of popularity."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import Rows
from lineage.counted import counted

BANDS = 4
"""Bands of popularity, each with the same share of the purchases"""
UNBOUGHT = "never bought before"


def exposure(recommended: Rows, n_items: int, k: int) -> NDArray[np.float64]:
    """(items,): attention that each item gets in the first k places of all lists.

    A place gets 1 / log2(1 + place), as in NDCG (Singh & Joachims, KDD 2018).

    Args:
        recommended: (users, k) item rows, -1 for no item.
        n_items: Size of the corpus.
        k: Places that count.
    """
    shown = recommended[:, :k]
    weights = np.broadcast_to(1 / np.log2(np.arange(shown.shape[1]) + 2.0), shown.shape)
    there = shown >= 0
    return np.bincount(shown[there], weights[there], n_items).astype(np.float64)


def gini(amounts: NDArray[np.floating]) -> float:
    """Gini coefficient of amounts: 0 if all are equal, (n − 1) / n if one has everything.

    Args:
        amounts: (items,) at least 0, such as the exposure of every item, those never shown too.

    Returns:
        Twice the area between the Lorenz curve and the diagonal; 0 if all amounts are 0.
    """
    ordered = np.sort(amounts)
    total, n = float(ordered.sum()), len(ordered)
    if not total:
        return 0.0
    ranks = np.arange(1, n + 1)
    return float(2 * (ranks @ ordered) / (n * total) - (n + 1) / n)


def lorenz(amounts: NDArray[np.floating], points: int = 101) -> NDArray[np.float64]:
    """(points,): share of the total that the least of the items have, by share of the items.

    Args:
        amounts: (items,) at least 0, with a positive sum.
        points: Evenly spaced shares of the items, from 0 to 1.
    """
    cumulative = np.concatenate([[0], np.cumsum(np.sort(amounts))])
    shares = np.linspace(0, 1, points) * len(amounts)
    places = np.arange(len(cumulative))
    curve: NDArray[np.float64] = np.interp(shares, places, cumulative / cumulative[-1])
    return curve


def popularity_bands(
    popularity: NDArray[np.floating], bands: int = BANDS
) -> tuple[NDArray[np.int64], Sequence[str]]:
    """Bands of items with the same share of the purchases each, and one of items without any.

    Args:
        popularity: (items,) purchases before the test.
        bands: Bands of items that were bought; a band may be empty where few items sell most.

    Returns:
        (items,) band of each item, the best sellers first, and the names of the bands.
    """
    order = np.argsort(-popularity, kind="stable")
    before = np.cumsum(popularity[order]) - popularity[order]
    band = np.empty(len(popularity), np.int64)
    total = max(float(popularity.sum()), 1e-12)
    band[order] = np.minimum((bands * before / total).astype(np.int64), bands - 1)
    band[popularity <= 0] = bands
    counts = np.bincount(band, minlength=bands + 1).tolist()
    ordinals = ("best sellers", *(f"band {number}" for number in range(2, bands + 1)))
    names = [
        f"{name}: {counted(count, 'item')}" for name, count in zip(ordinals, counts, strict=False)
    ]
    return band, (*names, f"{UNBOUGHT}: {counted(counts[bands], 'item')}")
