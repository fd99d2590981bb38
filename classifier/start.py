"""Starts the heads from the pretrained backbone's states, so that training begins near the end."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

SHARPNESS = 16.0
"""Logit, at the start, of a text whose state is the mean of its class"""
PENALTIES = 10.0 ** np.arange(-3, 3.5, 0.5)
"""Ridge penalties to choose from, as shares of the mean squared state"""


@torch.no_grad()
def start_labels(head: nn.Linear, states: Tensor, classes: Tensor) -> None:
    """Make a head score texts by the cosine with the mean state of each class.

    Args:
        head: Its inputs are √hidden times as long as the states.
        states: (texts, hidden) states of unit length.
        classes: (texts,) class of each text; negative without a known one.
    """
    known = classes >= 0
    sums = torch.zeros_like(head.weight).index_add_(0, classes[known], states[known])
    sizes = torch.bincount(classes[known], minlength=len(sums)).clamp(min=1)
    centred = sums / sizes[:, None] - states[known].mean(dim=0) * (sizes[:, None] > 0)
    seen = torch.bincount(classes[known], minlength=len(sums)) > 0
    means = functional.normalize(centred, dim=1) * seen[:, None]
    head.weight.copy_(SHARPNESS / states.shape[1] ** 0.5 * means)
    head.bias.zero_()


@torch.no_grad()
def start_numbers(head: nn.Linear, states: Tensor, numbers: NDArray[np.float64]) -> None:
    """Make a head predict numbers by ridge regression; cross-validation chooses the penalty.

    Args:
        head: Its inputs are √hidden times as long as the states.
        states: (texts, hidden) states of unit length.
        numbers: (texts,) numbers of mean 0 and deviation 1; NaN for a missing one.
    """
    known = np.isfinite(numbers)
    read = states.numpy()[known].astype(np.float64) * states.shape[1] ** 0.5
    wanted, centre = numbers[known], read.mean(axis=0)
    weights = ridge(read - centre, wanted - wanted.mean())
    head.weight.copy_(torch.from_numpy(weights)[None])
    head.bias.fill_(float(wanted.mean() - centre @ weights))


def ridge(read: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """(hidden,): weights of ridge regression under the penalty that generalises best.

    The penalty has the least generalised cross-validation error (Golub, Heath & Wahba, 1979).

    Args:
        read: (texts, hidden) centred inputs.
        wanted: (texts,) centred numbers.
    """
    left, singular, right = np.linalg.svd(read, full_matrices=False)
    projected, squares = left.T @ wanted, singular**2
    unit = squares.mean() or 1.0

    def error(penalty: float) -> float:
        kept = squares / (squares + penalty)
        residual = ((wanted - left @ (kept * projected)) ** 2).sum()
        return float(residual / max(len(wanted) - kept.sum(), 1e-9) ** 2)

    penalties: Sequence[float] = (unit * PENALTIES).tolist()
    best = min(penalties, key=error)
    weights: NDArray[np.float64] = right.T @ (singular * projected / (squares + best))
    return weights
