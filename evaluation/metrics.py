"""Metrics of recommended lists against what users went on to take.

Every list is a row of `recommended` (users, k): item rows, best first, -1 where there is none. A
list shorter than the k that is asked for is scored as it is: places that are not there are misses.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.integer[Any]]


def hits(recommended: Rows, targets: Sequence[Rows]) -> NDArray[np.bool_]:
    """Where the lists hold one of their user's targets.

    Args:
        recommended: (users, k) item rows, best first; -1 is no item and never a hit.
        targets: Item rows of each user, in any order.

    Returns:
        (users, k)

    Raises:
        ValueError: the shapes disagree, a row is below -1, or a list holds an item twice.
    """
    _require_lists(recommended)
    users = len(recommended)
    if len(targets) != users:
        raise ValueError(f"targets must be of {users} users as recommended is, got {len(targets)}")
    flat = np.concatenate(targets).astype(np.int64)
    span = 1 + max(recommended.max(initial=-1), flat.max(initial=-1))
    owners = np.repeat(np.arange(users), [len(target) for target in targets])
    wanted = np.append(np.sort(owners * span + flat), np.iinfo(np.int64).max)
    offered = np.arange(users)[:, None] * span + recommended
    found: NDArray[np.bool_] = wanted[np.searchsorted(wanted, offered)] == offered
    return found & (recommended >= 0)


def recall(recommended: Rows, targets: Sequence[Rows], k: int) -> NDArray[np.float64]:
    """recall@k: share of a user's targets among the first k; for one target, hit or miss.

    Returns:
        (users,) within [0, 1].
    """
    counts = _target_counts(targets)
    found: NDArray[np.float64] = _top(hits(recommended, targets), k).sum(axis=1) / counts
    return found


def ndcg(recommended: Rows, targets: Sequence[Rows], k: int) -> NDArray[np.float64]:
    """NDCG@k with binary gains (Järvelin & Kekäläinen, TOIS 2002).

    The ideal list has min(k, number of targets) hits at its head.

    Returns:
        (users,) within [0, 1].
    """
    counts = _target_counts(targets)
    found = _top(hits(recommended, targets), k)
    discounts = 1.0 / np.log2(np.arange(k) + 2.0)
    ideal = np.cumsum(discounts)[np.minimum(counts, k) - 1]
    share: NDArray[np.float64] = (found @ discounts[: found.shape[1]]) / ideal
    return share


def reciprocal_rank(recommended: Rows, targets: Sequence[Rows]) -> NDArray[np.float64]:
    """1 / rank of the first hit in the whole list, 0 without one; its mean is MRR.

    Returns:
        (users,) within [0, 1].
    """
    _target_counts(targets)
    found = hits(recommended, targets)
    ranks = 1.0 / np.arange(1, found.shape[1] + 1)
    best: NDArray[np.float64] = np.where(found, ranks, 0.0).max(axis=1, initial=0.0)
    return best


def coverage(recommended: Rows, n_items: int, k: int) -> float:
    """coverage@k: share of the corpus that is in anyone's first k (Ge et al., RecSys 2010).

    Raises:
        ValueError: a list holds a row that the corpus has not.
    """
    _require_lists(recommended)
    shown = np.unique(_top(recommended, k))
    if shown.max(initial=-1) >= n_items:
        raise ValueError(f"recommended must be rows of {n_items} items, got row {shown.max()}")
    return float((shown >= 0).sum() / n_items)


def novelty(recommended: Rows, popularity: Rows, k: int) -> NDArray[np.float64]:
    """novelty@k: mean surprise of the first k items (Vargas & Castells, RecSys 2011).

    Args:
        recommended: (users, k) item rows, -1 where there is none.
        popularity: (items,) training interactions; one is added to each, for the unseen.
        k: Length of the list that is looked at.

    Returns:
        (users,) in bits; 0 for an empty list.
    """
    _require_lists(recommended)
    shown = _top(recommended, k)
    smoothed = popularity + 1.0
    bits = -np.log2(smoothed / smoothed.sum())
    there = shown >= 0
    total = np.where(there, bits[np.maximum(shown, 0)], 0.0).sum(axis=1)
    mean: NDArray[np.float64] = total / np.maximum(there.sum(axis=1), 1)
    return mean


def _top(lists: NDArray[Any], k: int) -> NDArray[Any]:
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    return lists[:, :k]


def _target_counts(targets: Sequence[Rows]) -> NDArray[np.int64]:
    """(users,): how many targets each user has, all distinct and at least one."""
    for user, target in enumerate(targets):
        if not len(target):
            raise ValueError(f"targets must hold at least one item a user, got none for {user}")
        if len(target) > 1 and len(np.unique(target)) < len(target):
            raise ValueError(f"targets must be distinct, got {target.tolist()} for user {user}")
        if target.min() < 0:
            raise ValueError(f"targets must be item rows, got {target.min()} for user {user}")
    return np.fromiter((len(target) for target in targets), np.int64, len(targets))


def _require_lists(recommended: Rows) -> None:
    if recommended.ndim != 2 or not len(recommended):
        raise ValueError(f"recommended must be (users, k), got the shape {recommended.shape}")
    if not np.issubdtype(recommended.dtype, np.integer):
        raise ValueError(f"recommended must be item rows, got {recommended.dtype}")
    if recommended.min(initial=-1) < -1:
        raise ValueError(f"recommended must be item rows or -1, got {recommended.min()}")
    ordered = np.sort(recommended, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    if twice.any():
        user, place = np.argwhere(twice)[0]
        raise ValueError(
            f"recommended must hold an item once a list, got row {ordered[user, place]} "
            f"twice in list {user}"
        )
