"""Ranking metrics over the full corpus, a value a user.

Everywhere `recommended` is (users, k) item rows, best first, -1 where a list is shorter, and
`targets` holds each user's item rows to be found.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.integer]


def hits(recommended: Rows, targets: Sequence[Rows]) -> NDArray[np.bool_]:
    """(users, k): whether each place holds one of the user's targets.

    Raises:
        ValueError: a list holds an item twice, or there are not as many users as lists.
    """
    if len(recommended) != len(targets):
        raise ValueError(f"targets must be one a list of {len(recommended)}, got {len(targets)}")
    ordered = np.sort(recommended, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    if twice.any():
        row = int(np.flatnonzero(twice.any(axis=1))[0])
        raise ValueError(f"recommended must hold an item once, got one twice in row {row}")
    found = np.zeros(recommended.shape, bool)
    for user, wanted in enumerate(targets):
        found[user] = np.isin(recommended[user], wanted) & (recommended[user] >= 0)
    return found


def recall_at_k(recommended: Rows, targets: Sequence[Rows], k: int) -> NDArray[np.float64]:
    """(users,): share of the user's targets among the first k."""
    wanted = np.array([len(t) for t in targets])
    shares: NDArray[np.float64] = hits(recommended[:, :k], targets).sum(axis=1) / wanted
    return shares


def ndcg_at_k(recommended: Rows, targets: Sequence[Rows], k: int) -> NDArray[np.float64]:
    """(users,): discounted gain of the first k over the best that k places allow.

    Source: Järvelin & Kekäläinen, ACM TOIS 2002, with binary gains and log2(place + 1).
    """
    discounts = 1 / np.log2(np.arange(2, k + 2))
    best = np.cumsum(discounts)
    wanted = np.array([min(k, len(t)) for t in targets])
    found = hits(recommended[:, :k], targets)
    gains: NDArray[np.float64] = found @ discounts[: found.shape[1]] / best[wanted - 1]
    return gains


def reciprocal_rank(recommended: Rows, targets: Sequence[Rows]) -> NDArray[np.float64]:
    """(users,): 1 / place of the first target, 0 where the list holds none."""
    found = hits(recommended, targets)
    return np.where(found.any(axis=1), 1.0 / (1 + found.argmax(axis=1)), 0.0)


def coverage_at_k(recommended: Rows, k: int, items: int) -> float:
    """Share of the corpus that is in anybody's first k."""
    shown = np.unique(recommended[:, :k])
    return float((shown >= 0).sum() / items)
