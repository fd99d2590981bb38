"""When items were in demand, as far as the order of purchases tells; no dates are needed."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

COLUMNS = ("era", "last share", "lasts", "first share")
FILE = "item_times.npy"
APART = 5
"""Places from one purchase of a shopper to another at most, for their order to count"""
PRIOR = 0.1
"""Weight of the prior by which an era is that of most items"""
STEPS = 60
"""Of the optimiser at most"""


def item_times(
    offsets: NDArray[np.int64],
    items: NDArray[np.int32],
    times: NDArray[np.int64],
    n_items: int,
) -> NDArray[np.float32]:
    """What the places of items in histories say of the time of their demand.

    Args:
        offsets: (users + 1,): user u owns `[offsets[u], offsets[u + 1])` of the arrays below.
        items: (interactions,) item rows of the training split, oldest first within a user.
        times: (interactions,) equal where purchases that follow one another are of one moment;
            what came first, the order says.
        n_items: Size of the corpus.

    Returns:
        (items + 1, columns) as in `COLUMNS`: the era (see `eras`); the logarithm of the share of
        an item's purchases that are their shopper's last, that of their number, and of the share
        that are the first. Purchases at one time are equally last. The last row is that of an
        item which nobody has bought yet.
    """
    lengths = np.diff(offsets)
    users, kept = np.repeat(np.arange(len(lengths)), lengths), lengths > 0
    moments = np.cumsum(np.diff(times, prepend=times[:1]) != 0)
    first, last = (np.zeros(len(lengths), np.int64) for _ in range(2))
    first[kept], last[kept] = moments[offsets[:-1][kept]], moments[offsets[1:][kept] - 1]
    size = n_items + 1  # the last one is bought by nobody
    bought = np.bincount(items, minlength=size)
    lasts = np.bincount(items[moments == last[users]], minlength=size)
    firsts = np.bincount(items[moments == first[users]], minlength=size)
    known = [
        eras(users, items, moments, size),
        np.log((lasts + 0.5) / (bought + 3)),
        np.log1p(lasts),
        np.log((firsts + 0.5) / (bought + 3)),
    ]
    return np.stack(known, axis=1).astype(np.float32)


def eras(
    users: NDArray[np.int64],
    items: NDArray[np.int32],
    times: NDArray[np.int64],
    n_items: int,
) -> NDArray[np.float64]:
    """Order items by when they are bought, whoever buys them.

    The later of two purchases of a shopper beats the earlier (Bradley & Terry, Biometrika 1952),
    the more surely the fewer places it is from one to the other.

    Args:
        users: (interactions,) ascending.
        items: As `item_times` has them.
        times: (interactions,) rising along a history, equal where purchases are of one moment.
        n_items: Size of the corpus.

    Returns:
        (items,) larger is later, deviation 1; 0 where nothing is known.
    """
    pairs = [_pairs(users, items, times, apart) for apart in range(1, APART + 1)]
    earlier, later, weights = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    if not len(earlier):
        return np.zeros(n_items)

    def loss(strength: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        ahead = strength[later] - strength[earlier]
        surprise = weights / (1 + np.exp(ahead))
        slope = np.bincount(earlier, surprise, n_items) - np.bincount(later, surprise, n_items)
        value = float(weights @ np.logaddexp(0, -ahead) + PRIOR / 2 * strength @ strength)
        return value, slope + PRIOR * strength

    found = minimize(
        loss, np.zeros(n_items), jac=True, method="L-BFGS-B", options={"maxiter": STEPS}
    )
    strength: NDArray[np.float64] = found.x
    strength /= max(float(strength[np.unique(items)].std()), 1e-6)
    return strength


def _pairs(
    users: NDArray[np.int64], items: NDArray[np.int32], times: NDArray[np.int64], apart: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    """Items that one shopper bought so many places apart, at different times, and their weight."""
    counted = (
        (users[:-apart] == users[apart:])
        & (items[:-apart] != items[apart:])
        & (times[:-apart] != times[apart:])
    )
    earlier, later = items[:-apart][counted], items[apart:][counted]
    return earlier, later, np.full(len(earlier), apart**-0.5)


def save(folder: Path, known: NDArray[np.float32]) -> None:
    """Write what `item_times` returned."""
    np.save(folder / FILE, known)


def load(folder: Path) -> NDArray[np.float32]:
    """Read what `save` wrote."""
    known: NDArray[np.float32] = np.load(folder / FILE)
    return known
