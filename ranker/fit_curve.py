"""Fits monotone maps from scores to probabilities."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit

from ranker.calibrated import Curve, Scores

FEWEST = 10
"""Hits below which nothing is fitted"""
MANY = 200
"""Hits from which the curve has any monotone form; below, it is logistic"""
POOLED = 30
"""Neighbouring scores that share a point of an isotonic curve, so that no single hit is one"""
KNOTS = 33
"""Knots of a logistic curve"""


def fit_curve(scores: Scores, happened: NDArray[np.bool_]) -> Curve | None:
    """The curve of most likely probabilities; None if too few events happened.

    Args:
        scores: (predictions,) finite.
        happened: (predictions,) whether the item was among the next ones.
    """
    hits = int(happened.sum())
    if hits < FEWEST or hits == len(happened):
        return None
    order = np.argsort(scores, kind="stable")
    ordered, outcomes = np.asarray(scores, np.float64)[order], happened[order].astype(np.float64)
    return isotonic(ordered, outcomes) if hits >= MANY else logistic(ordered, outcomes)


def isotonic(scores: NDArray[np.float64], happened: NDArray[np.float64]) -> Curve:
    """Isotonic regression (Zadrozny & Elkan, KDD 2002), linear between the means of its blocks.

    Args:
        scores: (predictions,) ascending.
        happened: (predictions,) 1 or 0.
    """
    starts = np.arange(0, max(len(scores) - POOLED, 0) + 1, POOLED)
    counts = np.diff(np.append(starts, len(scores)))
    centres, shares = (np.add.reduceat(x, starts) / counts for x in (scores, happened))
    fitted = isotonic_regression(shares, weights=counts)
    blocks, sizes = fitted.blocks[:-1], fitted.weights
    return Curve(
        scores=(np.add.reduceat(centres * counts, blocks) / sizes).tolist(),
        probabilities=np.clip(fitted.x[blocks], 0, 1).tolist(),
    )


def logistic(scores: NDArray[np.float64], happened: NDArray[np.float64]) -> Curve:
    """Logistic regression with the smoothed outcomes of Platt, 1999; its slope is not negative.

    Args:
        scores: (predictions,) ascending.
        happened: (predictions,) 1 or 0.
    """
    hits, misses = happened.sum(), len(happened) - happened.sum()
    outcomes = np.where(happened > 0, (hits + 1) / (hits + 2), 1 / (misses + 2))
    spread = float(scores.std()) or 1.0
    x = (scores - scores.mean()) / spread

    def loss(line: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = line[0] * x + line[1]
        errors = expit(logits) - outcomes
        value = np.logaddexp(0, logits).sum() - float(outcomes @ logits)
        return value / len(x), np.array([errors @ x, errors.sum()]) / len(x)

    share = float(np.log(hits / misses))
    slope, bias = minimize(
        loss, np.array([1.0, share]), jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)]
    ).x
    knots = np.linspace(scores[0], scores[-1], KNOTS)
    return Curve(
        scores=knots.tolist(),
        probabilities=expit(slope * (knots - scores.mean()) / spread + bias).tolist(),
    )
