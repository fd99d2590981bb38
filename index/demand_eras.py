"""When each item was in demand, estimated from the order of purchases, without dates."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

COLUMNS = ("era", "last share", "lasts", "first share")
FILE = "item_times.npy"
APART = 5
"""Largest distance in a history, in places, between two purchases whose order is used"""
PRIOR = 0.1
"""Weight of the prior, which pulls eras towards 0"""
STEPS = 60
"""Most iterations of the optimiser"""


def item_times(
    offsets: NDArray[np.int64],
    items: NDArray[np.int32],
    moments: NDArray[np.int32],
    n_items: int,
    strengths: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Features of when each item is in demand, from its places in histories.

    Each interaction counts by its strength, so views beside purchases count for little.

    Args:
        offsets: (users + 1,): user u owns `[offsets[u], offsets[u + 1])` of the arrays below.
        items: (interactions,) item rows of the training split, oldest first within a user.
        moments: (interactions,) numbers of the users' moments, not decreasing within a user;
            purchases of one moment are simultaneous.
        n_items: Size of the corpus.
        strengths: (interactions,) largest weight of each one's user and item, at most 1.

    Returns:
        (items + 1, columns) as in `COLUMNS`: the era (see `eras`); the logarithm of the share of
        an item's purchases that are their shopper's last; the logarithm of their number; the
        logarithm of the share that are their shopper's first. If a shopper's last purchases are
        simultaneous, all of them count as last. The last row is for an item that is newer than the
        histories. Like every item without purchases, it has the newest era.
    """
    lengths = np.diff(offsets)
    users, kept = np.repeat(np.arange(len(lengths)), lengths), lengths > 0
    first, last = (np.zeros(len(lengths), np.int64) for _ in range(2))
    first[kept], last[kept] = moments[offsets[:-1][kept]], moments[offsets[1:][kept] - 1]
    size = n_items + 1  # one more for an item without purchases
    bought, lasts, firsts = (
        np.bincount(items[which], strengths[which], size)
        for which in (slice(None), moments == last[users], moments == first[users])
    )
    era = eras(users, items, moments, size, strengths)
    if bought.any():
        era[bought == 0] = era[bought > 0].max()
    columns = [
        era,
        np.log((lasts + 0.5) / (bought + 3)),
        np.log1p(lasts),
        np.log((firsts + 0.5) / (bought + 3)),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def eras(
    users: NDArray[np.int64],
    items: NDArray[np.int32],
    moments: NDArray[np.int32],
    n_items: int,
    strengths: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Estimate a position in time for each item from the order of purchases within histories.

    A Bradley-Terry model (Biometrika 1952): of two purchases of a shopper, the later item beats the
    earlier one. Pairs that lie closer together in the history weigh more. As in the lists of next
    items, a pair weighs the square root of both strengths.

    Args:
        users: (interactions,) user rows, ascending.
        items: (interactions,) item rows, oldest first within a user.
        moments: (interactions,) rising along a history, equal for simultaneous purchases.
        n_items: Size of the corpus.
        strengths: (interactions,) as in `item_times`.

    Returns:
        (items,) larger is later, standard deviation 1; 0 for an item in no pair.
    """
    roots = np.sqrt(strengths.astype(np.float64))
    pairs = [_pairs(users, items, moments, roots, apart) for apart in range(1, APART + 1)]
    earlier, later, weights = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    if not len(earlier):
        return np.zeros(n_items)

    def loss(strength: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        ahead = strength[later] - strength[earlier]
        surprise = weights / (1 + np.exp(ahead))
        slope = np.bincount(earlier, surprise, n_items) - np.bincount(later, surprise, n_items)
        value = float(weights @ np.logaddexp(0, -ahead) + PRIOR / 2 * strength @ strength)
        return value, slope + PRIOR * strength

    from scipy.optimize import minimize  # takes most of a second to load

    found = minimize(
        loss, np.zeros(n_items), jac=True, method="L-BFGS-B", options={"maxiter": STEPS}
    )
    strength: NDArray[np.float64] = found.x
    strength /= max(float(strength[np.unique(items)].std()), 1e-6)
    return strength


def _pairs(
    users: NDArray[np.int64],
    items: NDArray[np.int32],
    moments: NDArray[np.int32],
    roots: NDArray[np.float64],
    apart: int,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    """Earlier and later items of purchases `apart` places apart, of different moments; weights."""
    counted = (
        (users[:-apart] == users[apart:])
        & (items[:-apart] != items[apart:])
        & (moments[:-apart] != moments[apart:])
    )
    earlier, later = items[:-apart][counted], items[apart:][counted]
    return earlier, later, (roots[:-apart] * roots[apart:])[counted] * apart**-0.5


def save(folder: Path, features: NDArray[np.float32]) -> None:
    """Write the array that `item_times` returned."""
    np.save(folder / FILE, features)


def load(folder: Path) -> NDArray[np.float32]:
    """Read the array that `save` wrote."""
    features: NDArray[np.float32] = np.load(folder / FILE)
    return features
