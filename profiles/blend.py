"""Probabilities of an attribute's values: a log-linear pool of all evidence.

The logit of a value is a weighted sum of the logarithms of its shares (Genest & Zidek, "Combining
probability distributions", Statistical Science 1986). Where an item has one value, a softmax over
the values follows; where it may have several, a logistic function of each value's own log-odds.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from profiles.evidence import NAMES, PLAIN, Evidence

FILE = "profiles.json"
FOLLOWING = "profiles.{}.npy"
"""Files of the ranker stage"""


@dataclass(frozen=True, kw_only=True)
class Blend:
    """Learnt weights of the evidence for one attribute."""

    weights: NDArray[np.float64]
    """(kinds,)"""
    bias: float = 0.0
    """Added to each log-odds where an item may have several values"""
    several: bool = False

    def __call__(self, evidence: Evidence) -> NDArray[np.float64]:
        """(candidates,): probability that the next item has each candidate value."""
        logits = self.weights @ inputs(evidence.shares, several=self.several) + self.bias
        if self.several:
            return 1 / (1 + np.exp(-logits))
        odds = np.exp(logits - logits.max())
        found: NDArray[np.float64] = odds / odds.sum()
        return found[: len(evidence.numbers)]


def plain(evidence: Evidence) -> NDArray[np.float64]:
    """(candidates,): the smoothed shares of the history, which need no learning."""
    shares: NDArray[np.float64] = evidence.shares[PLAIN, : len(evidence.numbers)]
    return shares


def inputs(shares: NDArray[np.float64], *, several: bool) -> NDArray[np.float64]:
    """Logarithms of shares, or their log-odds where an item may have several values."""
    logs = np.log(shares)
    return logs - np.log1p(-shares) if several else logs


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """What is learnt of the attributes, by name."""

    blends: Mapping[str, Blend] = field(default_factory=dict)
    """Weights of the evidence"""
    following: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """Coefficients of `profiles.following`"""


NOTHING = Learnt()
"""Of a release that has learnt nothing"""


def save_learnt(folder: Path, learnt: Learnt) -> None:
    """Write what is learnt of all attributes."""
    blends = learnt.blends
    described = {
        name: {"weights": blend.weights.tolist(), "bias": blend.bias, "several": blend.several}
        for name, blend in blends.items()
    }
    about = {"evidence": NAMES, "blends": described, "following": list(learnt.following)}
    (folder / FILE).write_text(json.dumps(about, indent=1))
    for place, coefficients in enumerate(learnt.following.values()):
        np.save(folder / FOLLOWING.format(place), coefficients)


def load_learnt(folder: Path) -> Learnt:
    """Read what `save_learnt` wrote; empty if it wrote nothing, or for other kinds of evidence."""
    path = folder / FILE
    if not path.is_file():
        return NOTHING
    stored: dict[str, Any] = json.loads(path.read_text())
    if tuple(stored["evidence"]) != NAMES:
        return NOTHING
    following = {
        name: np.load(folder / FOLLOWING.format(place))
        for place, name in enumerate(stored["following"])
    }
    blends = {
        name: Blend(weights=np.array(one["weights"]), bias=one["bias"], several=one["several"])
        for name, one in stored["blends"].items()
    }
    return Learnt(blends=blends, following=following)
