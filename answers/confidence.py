"""The probability that the best entry is right, by a logistic regression on its evidence."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from answers.evidence import Floats

RIDGE = 0.01
"""Penalty of the squared weights, of standardised evidence"""
FOLDS = 5
Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Confidence:
    """Calibrated: of the answers with probability p, a share p is right."""

    weights: tuple[float, ...]
    """Of each column of the evidence, never below 0: more similar never means less sure."""
    bias: float

    def __call__(self, values: Floats) -> Floats:
        """(questions,) probabilities, given the evidence (questions, columns)."""
        found: Floats = expit(values @ np.array(self.weights) + self.bias)
        return found


def fitted(values: Floats, right: Flags, weights: Floats) -> Confidence:
    """The regression of least log-loss (Platt, 1999, with several columns).

    Args:
        values: (cases, columns) evidence.
        right: (cases,) whether the best entry is right.
        weights: (cases,) weight of each case.
    """
    total = weights.sum()
    mean = weights @ values / total
    spread = np.sqrt(weights @ (values - mean) ** 2 / total) + 1e-6
    scaled, wanted = (values - mean) / spread, right.astype(np.float64)

    def loss(found: Floats) -> tuple[float, Floats]:
        logits = scaled @ found[:-1] + found[-1]
        off = weights * (expit(logits) - wanted) / total
        value = weights @ (np.logaddexp(0, logits) - wanted * logits) / total
        penalty = RIDGE * found[:-1] / len(values)
        slopes = np.append(off @ scaled + penalty, off.sum())
        return float(value + penalty @ found[:-1] / 2), slopes

    columns = values.shape[1]
    bounds = [(0.0, None)] * columns + [(None, None)]
    found = minimize(loss, np.zeros(columns + 1), jac=True, method="L-BFGS-B", bounds=bounds).x
    slopes = found[:-1] / spread
    return Confidence(weights=tuple(slopes.tolist()), bias=float(found[-1] - (slopes * mean).sum()))


def held_out(values: Floats, right: Flags, weights: Floats, questions: NDArray[np.int64]) -> Floats:
    """(cases,) probabilities by regressions that have not seen the case's question.

    Args:
        values: (cases, columns) evidence.
        right: (cases,) whether the best entry is right.
        weights: (cases,) weight of each case.
        questions: (cases,) number of the question that a case is about.
    """
    found, folds = np.empty(len(values)), questions % FOLDS
    for fold in np.unique(folds):
        out = folds == fold
        found[out] = fitted(values[~out], right[~out], weights[~out])(values[out])
    return found
