"""Figures of predicted labels and numbers: arrays in, floats out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15
"""Bins of confidence, of equal width (Guo et al., ICML 2017)"""
Codes = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PerClass:
    """Figures of every class, (classes,) each."""

    precision: Floats
    recall: Floats
    f1: Floats
    support: Codes
    """Texts of the class."""
    predicted: Codes
    """Texts that were predicted to be of the class."""


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """How often predictions are right, by their confidence; (bins,) each."""

    confidence: Floats
    """Mean confidence; NaN for an empty bin."""
    accuracy: Floats
    """Share that is right; NaN for an empty bin."""
    texts: Codes

    @property
    def error(self) -> float:
        """Expected calibration error: mean of |accuracy − confidence| over the texts."""
        gaps = np.nan_to_num(np.abs(self.accuracy - self.confidence))
        return float((gaps * self.texts).sum() / max(self.texts.sum(), 1))


def per_class(true: Codes, predicted: Codes, classes: int) -> PerClass:
    """Precision, recall and F1 of every class; 0 where one is undefined.

    Args:
        true: (texts,) classes; a negative one is none of the classes.
        predicted: (texts,) classes.
        classes: Number of classes.
    """
    right = np.bincount(true[true == predicted], minlength=classes)
    support = np.bincount(true[true >= 0], minlength=classes)
    found = np.bincount(predicted, minlength=classes)
    return PerClass(
        precision=right / np.maximum(found, 1),
        recall=right / np.maximum(support, 1),
        f1=2 * right / np.maximum(support + found, 1),
        support=support,
        predicted=found,
    )


def macro_f1(figures: PerClass) -> float:
    """Mean F1 of the classes that occur or were predicted."""
    counted = (figures.support + figures.predicted) > 0
    return float(figures.f1[counted].mean()) if counted.any() else 0.0


def reliability(confidence: Floats, right: NDArray[np.bool_], bins: int = BINS) -> Reliability:
    """Accuracy by confidence.

    Args:
        confidence: (texts,) probability of each prediction, in [0, 1].
        right: (texts,) whether it is right.
        bins: Number of bins.
    """
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    texts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        return Reliability(
            confidence=np.bincount(place, confidence, bins) / texts,
            accuracy=np.bincount(place, right, bins) / texts,
            texts=texts,
        )


def confusions(true: Codes, predicted: Codes) -> tuple[Codes, Codes, Codes]:
    """(pairs,) true classes, predicted classes and texts of each confusion, most frequent first."""
    wrong = (true != predicted) & (true >= 0)
    pairs = np.stack([true[wrong], predicted[wrong]], axis=1)
    found, texts = np.unique(pairs, axis=0, return_counts=True)
    order = np.argsort(-texts, kind="stable")
    return found[order, 0], found[order, 1], texts[order]


def r_squared(true: Floats, predicted: Floats) -> float:
    """Share of the variance that is explained; 0 for predicting the mean, NaN without variance."""
    total = ((true - true.mean()) ** 2).sum()
    return float(1 - ((true - predicted) ** 2).sum() / total) if total else float("nan")
