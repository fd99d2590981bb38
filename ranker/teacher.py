"""What boosted trees over the signals think of a list, for the ranker to learn from.

A purchase says of one item of a list that it was wanted; the trees say of every item how likely it
was. Each half of the lists is judged by trees that were grown on the other, so that they tell what
they learnt and not what they remember.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import lightgbm
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from ranker.shortlists import Shortlists

logger = logging.getLogger(__name__)
TREES, SEEDS = 80, 2
TRAINED = {
    "objective": "lambdarank",
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 50,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.8,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}
"""Options of LightGBM"""
Rows = NDArray[np.int32]
NOTHING = -1e9
"""Logit of a place that is empty"""


def kept_opinions(
    path: Path, shortlists: Shortlists, targets: Sequence[Rows], seed: int
) -> NDArray[np.float32]:
    """What `opinions` says, read where it was said before."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.npy")
        np.save(partial, opinions(shortlists, targets, seed))
        partial.replace(path)
    kept: NDArray[np.float32] = np.load(path, mmap_mode="r")
    return kept


def opinions(shortlists: Shortlists, targets: Sequence[Rows], seed: int) -> NDArray[np.float32]:
    """Judge every list that is learnt from by trees that have not seen it (Burges, 2010).

    Args:
        shortlists: What the ranker learns from.
        targets: Item rows that each of their users bought next.
        seed: Of the halves and of LightGBM.

    Returns:
        (learnt lists, size) logits whose softmax over a list foretells what is bought: trees and
        the shortlist's own scores, in the proportion that foretells best. Empty places are far
        below.
    """
    learnt = slice(shortlists.learnt)
    rows, scores = np.asarray(shortlists.rows[learnt]), np.asarray(shortlists.scores[learnt])
    signals, present = np.asarray(shortlists.signals[learnt]), rows >= 0
    pairs = zip(rows, targets[learnt], strict=True)
    bought = np.stack([np.isin(*pair) for pair in pairs]) & present
    half = np.random.default_rng(seed).permutation(len(rows)) % 2
    trees = np.zeros(rows.shape, np.float32)
    for judged in (0, 1):
        here, there = np.flatnonzero(half == judged), np.flatnonzero(half != judged)
        if not len(there):
            continue
        known = present[there]
        grown = lightgbm.Dataset(
            signals[there][known],
            bought[there][known].astype(np.int32),
            group=known.sum(axis=1),
            free_raw_data=False,
        )
        for number in range(SEEDS):
            booster = lightgbm.train({**TRAINED, "seed": seed + number}, grown, TREES)
            said = np.zeros(present[here].shape, np.float32)
            said[present[here]] = np.asarray(booster.predict(signals[here][present[here]]))
            trees[here] += said / SEEDS
    shares = _shares(trees, scores, bought, present)
    logger.info("teacher: %.2f of the trees' and %.2f of the shortlist's scores", *shares)
    return _logits(shares, trees, scores, present)


def _logits(
    shares: NDArray[np.float64],
    trees: NDArray[np.float32],
    scores: NDArray[np.float32],
    present: NDArray[np.bool_],
) -> NDArray[np.float32]:
    mixed = shares[0] * trees + shares[1] * scores
    return np.where(present, mixed, NOTHING).astype(np.float32)


def _shares(
    trees: NDArray[np.float32],
    scores: NDArray[np.float32],
    bought: NDArray[np.bool_],
    present: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Of both, by which what was bought is likeliest."""
    some = bought.any(axis=1)
    counts = bought[some].sum(axis=1)

    def surprise(shares: NDArray[np.float64]) -> float:
        logits = _logits(shares, trees[some], scores[some], present[some])
        said = np.where(bought[some], log_softmax(logits, axis=1), 0.0).sum(axis=1)
        return float(-(said / counts).mean())

    found: NDArray[np.float64] = minimize(surprise, [1.0, 1.0], method="Nelder-Mead").x
    return found
