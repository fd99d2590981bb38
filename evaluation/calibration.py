"""Calibration: whether events of probability p happen in a share p of the cases."""

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

BINS = 15
"""Bins of equal width (Guo et al., ICML 2017)"""
Floats = NDArray[np.float64]


class Bin(TypedDict):
    """Predictions of about the same probability."""

    predicted: float
    """Mean probability"""
    happened: float
    """Share of them that happened"""
    count: int


def reliability(
    probabilities: Floats, happened: Floats | NDArray[np.bool_], bins: int = BINS
) -> list[Bin]:
    """Bins of equal width that hold a prediction, the least probable first.

    Args:
        probabilities: (predictions,) within [0, 1].
        happened: (predictions,) 1 for what happened, 0 for what did not, or a share of trials.
        bins: Number of bins.

    Raises:
        ValueError: the shapes differ, or a probability lies outside [0, 1].
    """
    if probabilities.shape != happened.shape:
        raise ValueError(
            f"happened must have the shape {probabilities.shape}, got {happened.shape}"
        )
    if len(probabilities) and not (probabilities.min() >= 0 and probabilities.max() <= 1):
        raise ValueError(
            f"probabilities must be within 0 and 1, got {probabilities.min()} to "
            f"{probabilities.max()}"
        )
    places = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    counts = np.bincount(places, minlength=bins)
    predicted = np.bincount(places, probabilities, bins)
    observed = np.bincount(places, happened, bins)
    return [
        Bin(
            predicted=float(predicted[at] / counts[at]),
            happened=float(observed[at] / counts[at]),
            count=int(counts[at]),
        )
        for at in np.flatnonzero(counts).tolist()
    ]


def calibration_error(bins: list[Bin]) -> float:
    """Expected calibration error: mean difference of a bin, weighted by its predictions.

    Source: Naeini, Cooper & Hauskrecht, AAAI 2015.
    """
    total = sum(one["count"] for one in bins)
    off = sum(one["count"] * abs(one["predicted"] - one["happened"]) for one in bins)
    return off / total if total else 0.0
