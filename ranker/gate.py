"""Decides whether ranking pays: by the paired gain over users who made no other choice."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import Gains, ndcg
from evaluation.paired_gain import Gain, paired_gain
from ranker.list_batches import ValidationLists
from ranker.ranker import Ranker

TOP = 10
"""Items of which the gate computes NDCG"""


def verdict(gain: Gain, *, shared: bool = False) -> str:
    """Whether ranking pays, and by how much, in one sentence.

    Args:
        gain: Gain of the users who decide.
        shared: Whether they made the other choices, too, because there are too few users.
    """
    who = "who made the other choices, too" if shared else "who chose nothing else"
    says = "pays" if gain.pays else "does not pay, so the shortlist's order stays"
    return (
        f"ranking {says}: NDCG@10 {gain.after:.4f} against {gain.before:.4f} of the shortlist, "
        f"gain {gain.mean:+.4f} ± {gain.standard_error:.4f} over {gain.users} users {who}"
    )


def score_lists(ranker: Ranker, lists: ValidationLists) -> NDArray[np.float32]:
    """(lists, ranked) logits of the ranker; -inf for padding.

    Args:
        ranker: Ranker in evaluation mode.
        lists: Shortlists to rank.
    """
    logits = np.full(lists.rows.shape, -np.inf, np.float32)
    for user in range(len(lists)):
        history, rows, scores, features, search = lists[user]
        if len(rows):
            logits[user, : len(rows)] = ranker(history, rows, scores, features, search)
    return logits


def ranking_gain(
    logits: NDArray[np.float32],
    rows: NDArray[np.int32],
    targets: Sequence[NDArray[np.int32]],
    users: NDArray[np.int64],
    gains: Gains = None,
) -> Gain:
    """Gain in NDCG@10 of the ranker's order over the shortlists' own.

    Args:
        logits: (lists, ranked) logits of the users who decide; -inf for padding.
        rows: (lists, ranked) item rows in the shortlist's order; -1 for padding.
        targets: Item rows that each of them bought next.
        users: (lists,) user row of each.
        gains: Relevance of each target; None if all are 1.
    """
    ranked = np.take_along_axis(rows, np.argsort(-logits, axis=1, kind="stable"), axis=1)
    before, after = (ndcg(shown[:, :TOP], targets, TOP, gains) for shown in (rows, ranked))
    return paired_gain(before, after, users)
