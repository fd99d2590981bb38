"""How much the lists of users vary, and how well they fit what each user did before.

`of_items` (items, values) says which values of an attribute, such as categories, an item has: its
row has equal shares that sum to 1, or nothing (`item_shares`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from evaluation.metrics import Rows, hits

SMOOTHED = 0.01
"""Share of the history that is mixed into a list's, so that the divergence is finite (Steck)"""
Floats = NDArray[np.float64]
Shares = sparse.csr_array[np.float64]


def item_shares(offsets: NDArray[np.integer[Any]], values: Rows, n_values: int) -> Shares:
    """(items, values) equal shares of each item's values.

    Args:
        offsets: (items + 1,): item i has `values[offsets[i]:offsets[i + 1]]`.
        values: (pairs,) numbers of values, distinct within an item.
        n_values: Number of values.
    """
    counts = np.diff(offsets)
    shares = 1 / np.repeat(counts, counts)
    return sparse.csr_array((shares, values, offsets), shape=(len(counts), n_values))


def value_shares(lists: Sequence[Rows] | Rows, of_items: Shares, *, fading: bool = False) -> Shares:
    """(lists, values) share of each value in the lists' items that have any; 0 in empty lists.

    Args:
        lists: Item rows of each list; -1 for no item.
        of_items: Shares of the items' values.
        fading: Whether an item counts 1 / log2(1 + place), the share of attention that NDCG gives
            to its place (exposure: Singh & Joachims, KDD 2018); by default each counts 1.
    """
    sums = _incidence(lists, of_items.shape[0], fading=fading) @ of_items
    totals = row_sums(sums)
    return sparse.csr_array(sparse.diags_array(1 / np.where(totals > 0, totals, 1)) @ sums)


def intra_list_diversity(recommended: Rows, vectors: Shares | NDArray[Any], k: int) -> Floats:
    """Mean of 1 − cosine over the pairs of the first k items (Ziegler et al., WWW 2005).

    For keywords, the cosine of two items is that of their sets of values: 1 for the same ones, 0
    for none in common, also where an item has none.

    Args:
        recommended: (users, k) item rows, -1 for no item.
        vectors: (items, dimension) of any length; embeddings, or shares of values.
        k: Number of leading items to use.

    Returns:
        (users,) at least 0; 0 for lists of fewer than two items.
    """
    lengths = np.sqrt(row_sums(vectors * vectors))
    scale = sparse.diags_array(1 / np.where(lengths > 0, lengths, 1))
    shown = _incidence(recommended[:, :k], len(lengths)) @ scale
    sums = shown @ vectors
    squared = row_sums(sums * sums)
    present = recommended[:, :k] >= 0
    of_unit = (present & (lengths[np.maximum(recommended[:, :k], 0)] > 0)).sum(axis=1)
    count = present.sum(axis=1)
    pairs = count * (count - 1)
    diverse = 1 - (squared - of_unit) / np.maximum(pairs, 1)
    return np.where(pairs > 0, np.maximum(diverse, 0), 0.0)


def serendipity(
    recommended: Rows, targets: Sequence[Rows], expected: Rows, k: int
) -> NDArray[np.float64]:
    """Share of the first k places with a target that the expected list lacks.

    Useful and unexpected, where a primitive recommender says what is expected: the most popular
    items (Ge, Delgado-Battenfeld & Jannach, RecSys 2010).

    Args:
        recommended: (users, k) item rows, -1 for no item.
        targets: Item rows of each user.
        expected: (users, k) item rows of the primitive recommender; its first k count.
        k: Places that count.

    Returns:
        (users,) within [0, 1].
    """
    useful = hits(recommended, targets)[:, :k]
    shown, usual = recommended[:, :k], expected[:, :k]
    unexpected = ~(shown[:, :, None] == usual[:, None, :]).any(axis=2)
    share: Floats = (useful & unexpected).sum(axis=1) / k
    return share


def miscalibration(history: Shares, shown: Shares, smoothed: float = SMOOTHED) -> Floats:
    """Kullback–Leibler divergence of a list's values from the history's (Steck, RecSys 2018).

    C(p, q) = Σ p log(p / ((1 − a) q + a p)): 0 for a list with the history's shares.

    Args:
        history: (users, values) shares of the histories, p.
        shown: (users, values) shares of the lists, q.
        smoothed: a, above 0.

    Returns:
        (users,) nats, at most −log a; NaN for users whose history has no value.
    """
    known = history.tocoo()
    users, values = known.coords
    p = known.data
    q = np.asarray(shown[users, values]).ravel() if len(users) else p
    terms = p * np.log(p / ((1 - smoothed) * q + smoothed * p))
    divergence = np.bincount(users, terms, history.shape[0])
    return np.where(np.bincount(users, minlength=history.shape[0]) > 0, divergence, np.nan)


def row_sums(table: Any) -> Floats:
    """(rows,) sum of each row of a sparse or a dense table."""
    return np.asarray(table @ np.ones(table.shape[1])).astype(np.float64)


def _incidence(lists: Sequence[Rows] | Rows, n_items: int, *, fading: bool = False) -> Shares:
    """(lists, items) weight of each item in each list."""
    lengths = [len(rows) for rows in lists]
    flat = np.concatenate([*lists, np.empty(0, np.int64)]).astype(np.int64)
    owners = np.repeat(np.arange(len(lengths)), lengths)
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    weights = np.ones(len(flat))
    if fading:
        weights = 1 / np.log2(np.arange(len(flat)) - starts + 2.0)
    there = flat >= 0
    pairs = (weights[there], (owners[there], flat[there]))
    return sparse.csr_array(pairs, shape=(len(lengths), n_items))
