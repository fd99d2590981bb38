"""The probability from which questions are answered, learnt for a wanted precision."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from answers.confidence import Flags
from answers.evidence import Floats


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Precision and coverage of every threshold, the lowest first; (thresholds,) each."""

    thresholds: Floats
    precision: Floats
    """Share of right answers among those that are given."""
    coverage: Floats
    """Share of the questions that are answered."""
    effective: Floats
    """Answers that count: with unequal weights fewer than there are (Kish, 1965)."""


def curve(probabilities: Floats, right: Flags, weights: Floats) -> Curve:
    """Precision and coverage, if questions are answered from each of the probabilities on.

    Args:
        probabilities: (cases,) that the best entry is right.
        right: (cases,) whether it is.
        weights: (cases,) weight of each case.
    """
    order = np.argsort(-probabilities, kind="stable")
    sorted_ = probabilities[order]
    last = np.append(sorted_[1:] != sorted_[:-1], [True])  # ties are answered together
    given, squares = np.cumsum(weights[order])[last], np.cumsum(weights[order] ** 2)[last]
    gained = np.cumsum((weights * right)[order])[last]
    return Curve(
        thresholds=sorted_[last][::-1],
        precision=(gained / given)[::-1],
        coverage=(given / weights.sum())[::-1],
        effective=(given**2 / squares)[::-1],
    )


def lower_bound(share: Floats, trials: Floats, confidence: float) -> Floats:
    """One-sided lower confidence bound of a share (Wilson, JASA 1927).

    Args:
        share: Observed shares.
        trials: Number of trials of each.
        confidence: Level, such as 0.95.
    """
    z = float(ndtri(confidence))
    centre = share + z**2 / (2 * trials)
    spread = z * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    bound: Floats = (centre - spread) / (1 + z**2 / trials)
    return bound


def learnt_threshold(found: Curve, precision: float, confidence: float) -> float:
    """The lowest threshold whose precision is at least the wanted one, by its lower bound.

    Raises:
        ValueError: no threshold reaches it; says how far the best one is, and the remedy.
    """
    bounds = lower_bound(found.precision, found.effective, confidence)
    reached = np.flatnonzero(bounds >= precision)
    if not len(reached):
        best = int(bounds.argmax())
        raise ValueError(
            f"precision must be reachable by the validation questions, got {precision}, but "
            f"{found.precision[best]:.3f} of {found.effective[best]:.0f} answers show no more than "
            f"{bounds[best]:.3f}; label more questions, or lower --precision or --confidence"
        )
    return float(found.thresholds[reached[0]])
