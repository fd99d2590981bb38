"""Metrics of recommended lists against users' future purchases.

Each row of `recommended` (users, k) is a user's list: item rows, best first, -1 for no item. Places
that a list lacks count as misses, also if the list is shorter than a metric's k.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.integer[Any]]
Gains = Sequence[NDArray[np.float32]] | None
"""Gain of each target of each user; None if all are 1"""


def hits(recommended: Rows, targets: Sequence[Rows]) -> NDArray[np.bool_]:
    """Which places of the lists hold one of their user's targets.

    Args:
        recommended: (users, k) item rows, best first; -1 for no item, which is never a hit.
        targets: Item rows of each user, in any order.

    Returns:
        (users, k) whether each place is a hit.

    Raises:
        ValueError: the shapes disagree, a row is below -1, or a list has an item twice.
    """
    _require_lists(recommended)
    users = len(recommended)
    if len(targets) != users:
        raise ValueError(f"targets must have {users} users like recommended, got {len(targets)}")
    flat = np.concatenate(targets).astype(np.int64)
    span = 1 + max(recommended.max(initial=-1), flat.max(initial=-1))
    owners = np.repeat(np.arange(users), [len(target) for target in targets])
    wanted = np.append(np.sort(owners * span + flat), np.iinfo(np.int64).max)
    offered = np.arange(users)[:, None] * span + recommended
    found: NDArray[np.bool_] = wanted[np.searchsorted(wanted, offered)] == offered
    return found & (recommended >= 0)


def recall(recommended: Rows, targets: Sequence[Rows], k: int) -> NDArray[np.float64]:
    """recall@k of future purchases: share of each user's targets among the first k items.

    Returns:
        (users,) within [0, 1].
    """
    counts = _target_counts(targets)
    found: NDArray[np.float64] = _top(hits(recommended, targets), k).sum(axis=1) / counts
    return found


def ndcg(
    recommended: Rows, targets: Sequence[Rows], k: int, gains: Gains = None
) -> NDArray[np.float64]:
    """NDCG@k: the gain of a hit is its relevance (Järvelin & Kekäläinen, TOIS 2002).

    The ideal list has the targets of the largest gains first.

    Args:
        recommended: (users, k) item rows, best first; -1 for no item.
        targets: Item rows of each user.
        k: Places that count.
        gains: Gain of each target, above 0; None for 1.

    Returns:
        (users,) within [0, 1].
    """
    counts = _target_counts(targets)
    found = _top(hits(recommended, targets), k)
    if gains is None:
        return ndcg_of_hits(found, counts, k)
    gained = _top(gains_at(recommended, targets, gains), k)
    share: NDArray[np.float64] = dcg(gained) / [ideal_gain(of_user, k) for of_user in gains]
    return share


def ideal_gain(gains: NDArray[np.float32], k: int) -> float:
    """Largest possible `dcg` of k places: the largest gains first."""
    return float(dcg(-np.sort(-gains.astype(np.float64))[None, :k])[0])


def dcg(gained: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """(lists,) sum of the gains (lists, k), each divided by log2(1 + place)."""
    total: NDArray[np.float64] = gained @ (1.0 / np.log2(np.arange(gained.shape[1]) + 2.0))
    return total


def gains_at(
    recommended: Rows, targets: Sequence[Rows], gains: Sequence[NDArray[np.float32]]
) -> NDArray[np.float64]:
    """(users, k) gain of the item at each place of the lists, 0 for items that are no targets.

    Args:
        recommended: (users, k) item rows; -1 for no item.
        targets: Distinct item rows of each user.
        gains: Gain of each target.
    """
    gained = np.zeros(recommended.shape)
    for user, (wanted, of_wanted) in enumerate(zip(targets, gains, strict=True)):
        order = np.argsort(wanted)
        places = np.minimum(np.searchsorted(wanted[order], recommended[user]), len(wanted) - 1)
        hit = wanted[order][places] == recommended[user]
        gained[user] = np.where(hit, of_wanted[order][places], 0.0)
    return gained


def ndcg_of_hits(
    found: NDArray[np.bool_], targets: NDArray[np.int64] | int, k: int
) -> NDArray[np.float64]:
    """NDCG@k as `ndcg`, of lists whose hits are known.

    Args:
        found: (lists, k) or narrower: whether each place holds a target.
        targets: Number of targets of each list, (lists,), or of all; at least one.
        k: Places that count.

    Returns:
        (lists,) within [0, 1].
    """
    discounts = 1.0 / np.log2(np.arange(k) + 2.0)
    ideal = np.cumsum(discounts)[np.minimum(targets, k) - 1]
    share: NDArray[np.float64] = (found @ discounts[: found.shape[1]]) / ideal
    return share


def reciprocal_rank(recommended: Rows, targets: Sequence[Rows]) -> NDArray[np.float64]:
    """1 / rank of the first hit in the whole list, 0 without a hit; its mean is MRR.

    Returns:
        (users,) within [0, 1].
    """
    _target_counts(targets)
    found = hits(recommended, targets)
    ranks = 1.0 / np.arange(1, found.shape[1] + 1)
    best: NDArray[np.float64] = np.where(found, ranks, 0.0).max(axis=1, initial=0.0)
    return best


def coverage(recommended: Rows, n_items: int, k: int) -> float:
    """coverage@k: share of the corpus in the first k items of all lists (Ge et al., RecSys 2010).

    Raises:
        ValueError: a list has a row outside the corpus.
    """
    _require_lists(recommended)
    shown = np.unique(_top(recommended, k))
    if shown.max(initial=-1) >= n_items:
        raise ValueError(f"recommended must have rows in [0, {n_items}), got {shown.max()}")
    return float((shown >= 0).sum() / n_items)


def novelty(recommended: Rows, popularity: NDArray[np.number], k: int) -> NDArray[np.float64]:
    """novelty@k: mean surprise of the first k items (Vargas & Castells, RecSys 2011).

    Args:
        recommended: (users, k) item rows, -1 for no item.
        popularity: (items,) number of users in training; smoothed by adding one to each.
        k: Number of leading items to use.

    Returns:
        (users,) in bits; 0 for an empty list.
    """
    _require_lists(recommended)
    shown = _top(recommended, k)
    smoothed = popularity + 1.0
    bits = -np.log2(smoothed / smoothed.sum())
    present = shown >= 0
    total = np.where(present, bits[np.maximum(shown, 0)], 0.0).sum(axis=1)
    mean: NDArray[np.float64] = total / np.maximum(present.sum(axis=1), 1)
    return mean


def _top(lists: NDArray[Any], k: int) -> NDArray[Any]:
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    return lists[:, :k]


def _target_counts(targets: Sequence[Rows]) -> NDArray[np.int64]:
    """(users,): number of targets of each user; checks that there are any and all are distinct."""
    for user, target in enumerate(targets):
        if not len(target):
            raise ValueError(f"targets must have at least one item, got none for user {user}")
        if len(target) > 1 and len(np.unique(target)) < len(target):
            raise ValueError(f"targets must be distinct, got {target.tolist()} for user {user}")
        if target.min() < 0:
            raise ValueError(f"targets must be item rows, got {target.min()} for user {user}")
    return np.fromiter((len(target) for target in targets), np.int64, len(targets))


def _require_lists(recommended: Rows) -> None:
    if recommended.ndim != 2 or not len(recommended):
        raise ValueError(f"recommended must be (users, k), got shape {recommended.shape}")
    if not np.issubdtype(recommended.dtype, np.integer):
        raise ValueError(f"recommended must be item rows, got {recommended.dtype}")
    if recommended.min(initial=-1) < -1:
        raise ValueError(f"recommended must be item rows or -1, got {recommended.min()}")
    ordered = np.sort(recommended, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    if twice.any():
        user, place = np.argwhere(twice)[0]
        raise ValueError(
            f"recommended must have distinct items in each list, got row {ordered[user, place]} "
            f"twice in list {user}"
        )
