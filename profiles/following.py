"""Predicts the values of the next item from those of the history, by ridge regression.

One matrix maps decayed shares of all values, and 1, to the share of each value in what comes next.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dataset.arrays import TRAIN, Dataset
from profiles.attribute_values import AttributeValues, target_shares

HALF_LIVES = np.array([200.0, 14.0, 4.0, 1.0])[:, None]
"""Interactions after which one counts half, for each kind of share"""
MOST_VALUES = 400
"""Values of an attribute above which nothing is learnt: the matrix has 4 × values² numbers"""
EXAMPLES, INTERACTIONS = 12_000, 400_000
"""Most moments that are learnt from, and most interactions of their users"""
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
    chosen = np.random.default_rng(0).permutation(len(examples))[:EXAMPLES].tolist()
    x = np.stack([examples[place][0] for place in chosen])
    y = np.stack([examples[place][1] for place in chosen])
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
    decayed = weights * 0.5 ** (np.arange(len(weights))[::-1] / HALF_LIVES)
    counts = np.stack([np.bincount(numbers, kind[places], minlength=values) for kind in decayed])
    mass = decayed[:, np.unique(places)].sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = _inputs(counts.astype(np.float64), mass) @ coefficients
    return np.clip(shares, 1e-4, 1)


def _inputs(counts: NDArray[np.float64], mass: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.append((counts / np.maximum(mass, 1e-9)).ravel(), 1.0)


def _examples(attribute: AttributeValues, data: Dataset) -> Iterator[Example]:
    """Inputs before a moment, and shares of the values in it, for a random part of the users."""
    stands = data.standing(np.asarray(data.splits) == TRAIN)
    rng, left = np.random.default_rng(0), INTERACTIONS
    for user in rng.permutation(data.users).tolist():
        start, end = int(data.offsets[user]), int(data.offsets[user + 1])
        places = start + np.flatnonzero(stands[start:end])
        yield from _of_user(attribute, data, places)
        left -= len(places)
        if left <= 0:
            return


def _of_user(
    attribute: AttributeValues, data: Dataset, places: NDArray[np.int64]
) -> Iterator[Example]:
    """The examples of one user's standing interactions, oldest first."""
    items, weights, moments = data.items[places], data.weights[places], data.moments[places]
    bounds = np.flatnonzero(np.diff(moments, prepend=-1, append=-1)).tolist()
    counts, mass = np.zeros((len(HALF_LIVES), len(attribute.values))), np.zeros((4, 1))
    decay, known = 0.5 ** (1 / HALF_LIVES), np.empty(0, np.int32)
    for first, after in pairwise(bounds):
        new = np.setdiff1d(items[first:after], known)
        share = target_shares(attribute, new)
        if share is not None and mass[0, 0] > 0:
            yield _inputs(counts, mass), share
        for item, weight in zip(items[first:after], weights[first:after].tolist(), strict=True):
            numbers = attribute.numbers[attribute.offsets[item] : attribute.offsets[item + 1]]
            counts, mass = counts * decay, mass * decay
            counts[:, numbers] += weight
            mass += weight if len(numbers) else 0
        known = np.union1d(known, new)
