"""Numbers by kernel ridge regression over states: texts like known ones get numbers like theirs.

Near-duplicates, such as one product in two colours, have nearly one price. A linear head spreads
over all texts what it learns of one; a kernel keeps it near.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve

LANDMARKS = 4_096
"""Most texts that a kernel compares with (Nyström's approximation beyond)"""
LEARNT = 20_000
"""Most texts that the weights are fitted on"""
AT_ONCE = 1 << 24
"""Most numbers of a kernel that are in memory at once"""
JITTER = 1e-6
States = NDArray[np.float32]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class KernelForm:
    """Shape of a kernel and of its penalty."""

    sharpness: float
    """exp(sharpness · (cosine − 1)) is the similarity of two texts."""
    penalty: float
    """Ridge penalty."""


FORMS = tuple(
    KernelForm(sharpness=sharpness, penalty=penalty)
    for sharpness in (1.0, 2.0, 4.0)
    for penalty in (0.03, 0.1, 0.3)
)
"""Forms to choose from"""


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """Predicts a number as a weighted sum of similarities with known texts."""

    landmarks: States
    """(landmarks, hidden) states of unit length."""
    weights: NDArray[np.float32]
    """(landmarks,)"""
    mean: float
    sharpness: float

    def __call__(self, states: States) -> NDArray[np.float32]:
        """(texts,): predicted numbers, given the states (texts, hidden) of unit length."""
        found = np.zeros(len(states), np.float32)
        for rows in _blocks(len(states), len(self.landmarks)):
            similar = similarities(states[rows], self.landmarks, self.sharpness)
            found[rows] = similar @ self.weights + np.float32(self.mean)
        return found


def similarities(first: States, second: States, sharpness: float) -> States:
    """(first, second): similarities of texts, in (0, 1]."""
    similar: States = np.exp(np.float32(sharpness) * (first @ second.T - 1))
    return similar


def fit_kernel(states: States, numbers: Floats, form: KernelForm, seed: int) -> Kernel:
    """Fit the weights of a kernel.

    Args:
        states: (texts, hidden) states of unit length.
        numbers: (texts,) numbers; NaN for a missing one.
        form: Shape of the kernel.
        seed: Seed of the choice of landmarks, if there are more texts.
    """
    order = np.random.default_rng(seed).permutation(np.flatnonzero(np.isfinite(numbers)))
    learnt, landmarks = states[order[:LEARNT]], states[order[:LANDMARKS]]
    wanted = numbers[order[:LEARNT]]
    mean, size = float(wanted.mean()), len(landmarks)
    gram = similarities(landmarks, landmarks, form.sharpness).astype(np.float64)
    if len(learnt) == size:
        left, right = gram + form.penalty * np.eye(size), wanted - mean
    else:
        left = form.penalty * gram + JITTER * len(learnt) * np.eye(size)
        right = np.zeros(size)
        for rows in _blocks(len(learnt), size):
            similar = similarities(learnt[rows], landmarks, form.sharpness).astype(np.float64)
            left += similar.T @ similar
            right += similar.T @ (wanted[rows] - mean)
    weights = solve(left, right, assume_a="pos")
    return Kernel(
        landmarks=np.ascontiguousarray(landmarks),
        weights=weights.astype(np.float32),
        mean=mean,
        sharpness=form.sharpness,
    )


def _blocks(rows: int, width: int) -> Iterator[slice]:
    size = max(1, AT_ONCE // max(width, 1))
    return (slice(start, start + size) for start in range(0, rows, size))
