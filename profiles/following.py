"""Predicts the values of the next item from those of the history, by ridge regression.

One matrix maps decayed shares of all values, and 1, to the share of each value in what comes next.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dataset.arrays import TRAIN, Dataset
from profiles.attribute_values import AttributeValues, target_shares

HALF_LIVES = np.array([1_000.0, 14.0, 4.0, 1.0])[:, None]
"""Interactions after which one counts half, for each kind of share"""
MOST_VALUES = 400
"""Values of an attribute above which nothing is learnt: the matrix has 4 × values² numbers"""
EXAMPLES = 12_000
"""Most moments that are learnt from"""
RIDGE = 30.0
"""Penalty of the squared coefficients, in examples"""
Example = tuple[NDArray[np.float64], NDArray[np.float64]]


def learn_following(attribute: AttributeValues, data: Dataset) -> NDArray[np.float32] | None:
    """(half-lives × values + 1, values) coefficients, from the training split.

    None if the attribute has too many values, or no user has two moments.
    """
    if len(attribute.values) > MOST_VALUES:
        return None
    examples = list(_examples(attribute, data))
    if not examples:
        return None
    x, y = (np.stack(part) for part in zip(*examples, strict=True))
    penalty = RIDGE * np.eye(x.shape[1])
    coefficients: NDArray[np.float32] = np.linalg.solve(x.T @ x + penalty, x.T @ y).astype(
        np.float32
    )
    return coefficients


def following(
    coefficients: NDArray[np.float32],
    places: NDArray[np.int64],
    numbers: NDArray[np.int64],
    weights: NDArray[np.floating],
) -> NDArray[np.float64]:
    """(values,): predicted share of each value in what comes next.

    Args:
        coefficients: What `learn_following` returned.
        places: (pairs,) positions in the history, oldest first.
        numbers: (pairs,) numbers of the values there.
        weights: (history,) weights of the actions.
    """
    values = coefficients.shape[1]
    shares: NDArray[np.float64] = _inputs(places, numbers, weights, values) @ coefficients
    return np.clip(shares, 1e-4, 1)


def _inputs(
    places: NDArray[np.int64],
    numbers: NDArray[np.int64],
    weights: NDArray[np.floating],
    values: int,
) -> NDArray[np.float64]:
    """(half-lives × values + 1,): share of each value with each half-life, and 1."""
    decayed = weights * 0.5 ** (np.arange(len(weights))[::-1] / HALF_LIVES)
    counts = np.stack([np.bincount(numbers, kind[places], minlength=values) for kind in decayed])
    mass = decayed[:, np.unique(places)].sum(axis=1, keepdims=True)
    return np.append((counts / np.maximum(mass, 1e-9)).ravel(), 1.0)


def _examples(attribute: AttributeValues, data: Dataset) -> Iterator[Example]:
    """Inputs before some moments of the training split, and shares of the values in them."""
    stands = np.flatnonzero(data.standing(np.asarray(data.splits) == TRAIN))
    items, weights = np.asarray(data.items)[stands], data.weights[stands]
    users = data.user_of[stands]
    begins = np.ones(len(stands), bool)
    begins[1:] = (np.diff(users) != 0) | (np.diff(np.asarray(data.moments)[stands]) != 0)
    starts = np.flatnonzero(begins)
    ends, first = np.append(starts[1:], len(stands)), np.searchsorted(users, users[starts])
    later = np.flatnonzero(starts > first)
    for at in np.random.default_rng(0).permutation(later)[:EXAMPLES].tolist():
        history, moment = slice(first[at], starts[at]), slice(starts[at], ends[at])
        share = target_shares(attribute, np.setdiff1d(items[moment], items[history]))
        places, numbers = attribute.of_rows(items[history])
        if share is not None and len(places):
            yield _inputs(places, numbers, weights[history], len(share)), share
