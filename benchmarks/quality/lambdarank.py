"""The ranker's peer: LightGBM's boosted trees over the same features of the same shortlists."""

import logging
from collections.abc import Sequence
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import ndcg
from index.arrays import Rows
from ranker.ranker import reorder
from ranker.shortlists import Shortlists

logger = logging.getLogger(__name__)
LEAVES = (15, 31, 63)
"""Numbers of leaves per tree to try; the users whom the ranker is tuned on choose the best."""
TREES = 500
PATIENCE = 30
"""Trees without a better NDCG@10 after which training ends"""
BINNED = 200_000
"""Most candidates by which LightGBM bins features; a random sample where there are more"""
BATCH_SIZE = 512
"""Lists scored together"""


def fit(shortlists: Shortlists, targets: Sequence[Rows], seed: int) -> lightgbm.Booster:
    """Train trees by LambdaRank (Burges, 2010) until NDCG@10 on the tuning users stops rising.

    Args:
        shortlists: Lists that the ranker is trained and tuned on.
        targets: Item rows that each of their users bought next.
        seed: Seed of LightGBM.
    """
    learnt, tuned = slice(shortlists.learnt), shortlists.chooses
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
    """Whether the seed changes the trees, because LightGBM bins features by a random sample."""
    return bool((shortlists.rows[: shortlists.learnt] >= 0).sum() > BINNED)


def rank(
    booster: lightgbm.Booster, lists: Sequence[tuple[Rows, NDArray[np.float32]]], size: int
) -> Rows:
    """Shortlists in the trees' order; ties keep the order of the shortlist.

    Args:
        booster: The trees.
        lists: Item rows (candidates,) and features (candidates, features) of each shopper.
        size: Length of the longest list.

    Returns:
        (shoppers, size) item rows, best first; -1 for padding.
    """
    ranked = np.full((len(lists), size), -1, np.int32)
    for start in range(0, len(lists), BATCH_SIZE):
        batch = lists[start : start + BATCH_SIZE]
        lengths = [len(rows) for rows, _ in batch]
        if not sum(lengths):
            continue
        scores = np.asarray(booster.predict(np.concatenate([features for _, features in batch])))
        parts = np.split(scores.astype(np.float32), np.cumsum(lengths)[:-1])
        for place, ((rows, _), part) in enumerate(zip(batch, parts, strict=True), start):
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
    for place in range(len(shortlists.places))[shortlists.chooses]:
        present = shortlists.rows[place] >= 0
        lists.append((shortlists.rows[place][present], shortlists.features[place][present]))
    shown = rank(booster, lists, shortlists.rows.shape[1])
    return float(ndcg(shown, targets[shortlists.chooses], 10).mean())
