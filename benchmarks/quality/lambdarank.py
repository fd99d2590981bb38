"""The ranker's peer: boosted trees over the same features of the same shortlists (LightGBM)."""

import logging
from collections.abc import Sequence
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import ndcg
from ranker.ranker import reorder
from ranker.shortlists import Shortlists

logger = logging.getLogger(__name__)
LEAVES = (15, 31, 63)
"""Of a tree; the one that is best for the users whom the ranker is tuned on is taken."""
TREES = 500
PATIENCE = 30
"""Trees without a better NDCG@10 after which training ends"""
BINNED = 200_000
"""Candidates by which LightGBM cuts features into bins, drawn at random where there are more"""
AT_ONCE = 512
"""Lists that are scored together"""
Rows = NDArray[np.int32]


def fit(shortlists: Shortlists, targets: Sequence[Rows], seed: int) -> lightgbm.Booster:
    """Boost trees by LambdaRank (Burges, 2010) until NDCG@10 of the tuned users falls.

    Args:
        shortlists: What the ranker learns from and is tuned on.
        targets: Item rows that each of their users bought next.
        seed: Of LightGBM.
    """
    learnt, tuned = slice(shortlists.learnt), slice(shortlists.learnt, len(shortlists.users))
    training = lightgbm.Dataset(**_pool(shortlists, targets, learnt), free_raw_data=False)
    tuning = lightgbm.Dataset(
        **_pool(shortlists, targets, tuned), reference=training, free_raw_data=False
    )
    highest = -1.0
    for leaves in LEAVES:
        booster = lightgbm.train(
            {
                "objective": "lambdarank",
                "metric": "ndcg",
                "eval_at": [10],
                "learning_rate": 0.05,
                "num_leaves": leaves,
                "min_data_in_leaf": 50,
                "seed": seed,
                "deterministic": True,
                "force_row_wise": True,
                "bin_construct_sample_cnt": BINNED,
                "verbose": -1,
            },
            training,
            TREES,
            valid_sets=[tuning],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )
        reached = _quality(booster, shortlists, targets)
        logger.info(
            "LambdaRank, %d leaves: %d trees, valid/ndcg@10 %.4f",
            leaves,
            booster.best_iteration,
            reached,
        )
        if reached > highest:
            best, highest = booster, reached
    return best


def drawn(shortlists: Shortlists) -> bool:
    """Whether another seed makes other trees: whether bins are those of a sample."""
    return bool((shortlists.rows[: shortlists.learnt] >= 0).sum() > BINNED)


def rank(
    booster: lightgbm.Booster, lists: Sequence[tuple[Rows, NDArray[np.float32]]], size: int
) -> Rows:
    """Shortlists in the trees' order; ties keep the order they came in.

    Args:
        booster: The trees.
        lists: Item rows (candidates,) and features (candidates, features) of each shopper.
        size: Items of the longest.

    Returns:
        (shoppers, size) item rows, best first, -1 where there is none.
    """
    ranked = np.full((len(lists), size), -1, np.int32)
    for start in range(0, len(lists), AT_ONCE):
        some = lists[start : start + AT_ONCE]
        lengths = [len(rows) for rows, _ in some]
        if not sum(lengths):
            continue
        scores = np.asarray(booster.predict(np.concatenate([features for _, features in some])))
        parts = np.split(scores.astype(np.float32), np.cumsum(lengths)[:-1])
        for place, ((rows, _), part) in enumerate(zip(some, parts, strict=True), start):
            ranked[place, : len(rows)] = reorder(rows, part)
    return ranked


def _pool(shortlists: Shortlists, targets: Sequence[Rows], part: slice) -> dict[str, Any]:
    rows = np.asarray(shortlists.rows[part])
    bought = np.stack([np.isin(*pair) for pair in zip(rows, targets[part], strict=True)])
    present = rows >= 0
    return {
        "data": shortlists.features[part][present],
        "label": bought[present].astype(np.int32),
        "group": present.sum(axis=1),
    }


def _quality(booster: lightgbm.Booster, shortlists: Shortlists, targets: Sequence[Rows]) -> float:
    lists = []
    for place in range(shortlists.learnt, len(shortlists.users)):
        known = shortlists.rows[place] >= 0
        lists.append((shortlists.rows[place][known], shortlists.features[place][known]))
    shown = rank(booster, lists, shortlists.rows.shape[1])
    return float(ndcg(shown, targets[shortlists.learnt :], 10).mean())
