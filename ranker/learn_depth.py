"""Learns how many items of a shortlist are worth ranking.

A rule is judged by the hits among the first ten of the whole ranking that it still ranks. What
remains of their gain is a lower bound of the NDCG@10 that the rule reaches, because the other items
only move up. The bound never falls with the depth, so that chance favours no small depth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import Gains, ndcg
from ranker.depth import LEAST, STEP, Depth, Rule

TOP = 10
"""Items of which NDCG is computed"""
KEPT = 0.99
"""Share of the NDCG of the whole ranking that a rule has to reach"""
GAPS = np.concatenate([np.arange(0, 3, 0.1), np.arange(3, 12.1, 0.25)])
"""Gaps that are tried, logits"""
MASSES = np.concatenate([np.arange(0.3, 0.9, 0.05), np.arange(0.9, 0.9991, 0.005)])
"""Shares that are tried"""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The cheapest rule of one kind that reaches `KEPT`, and what it does on validation."""

    depth: Depth
    ranked: float
    """Mean number of ranked items"""
    ndcg: float
    """Mean NDCG@10 at least"""
    reachable: float
    """Mean NDCG@10 if all are ranked"""

    @property
    def facts(self) -> dict[str, Any]:
        """Facts for a manifest."""
        return {
            "value": round(self.depth.value, 4),
            "mean ranked": round(self.ranked, 1),
            "ndcg@10 at least": round(self.ndcg, 4),
            "of reachable": round(self.reachable, 4),
        }


def learn_depths(
    rows: NDArray[np.int32],
    scores: NDArray[np.floating[Any]],
    logits: NDArray[np.floating[Any]],
    targets: Sequence[NDArray[np.int32]],
    gains: Gains = None,
) -> dict[Rule, Choice]:
    """The cheapest rule of every kind.

    Args:
        rows: (lists, ranked) item rows in the shortlist's order; -1 for padding.
        scores: (lists, ranked) scores in the shortlist; -inf for padding.
        logits: (lists, ranked) logits of the ranker; -inf for padding.
        targets: Item rows that the user of each list bought next.
        gains: Relevance of each target; None if all are 1.
    """
    most = rows.shape[1]
    depths = np.append(np.arange(LEAST, most, STEP), most)
    first = np.argsort(-logits, axis=1, kind="stable")[:, :TOP]
    shown = np.take_along_axis(rows, first, axis=1)
    table = np.stack(
        [ndcg(np.where(first < depth, shown, -1), targets, TOP, gains) for depth in depths]
    )
    values: dict[Rule, NDArray[np.float64]]
    values = {"number": depths.astype(float), "gap": GAPS, "mass": MASSES}
    chosen: dict[Rule, Choice] = {}
    for rule, tried in values.items():
        rules = [Depth(rule=rule, value=float(value), most=most) for value in tried]
        rules.append(Depth(rule=rule, value=float(most), most=most))  # ranks all
        choices = [_choice(one, scores, depths, table) for one in rules]
        reached = [one for one in choices if one.ndcg >= KEPT * one.reachable]
        chosen[rule] = min(reached, key=lambda one: one.ranked)
    return chosen


def cheapest(choices: dict[Rule, Choice]) -> Choice:
    """The rule that ranks fewest items; the simplest one of equals."""
    return min(choices.values(), key=lambda one: round(one.ranked, 1))


def _choice(
    depth: Depth,
    scores: NDArray[np.floating[Any]],
    depths: NDArray[np.int64],
    table: NDArray[np.float64],
) -> Choice:
    """A rule with what it does; `table` (depths, lists) bounds NDCG@10 by ranked items."""
    counts = depth.of_all(scores)
    whole = counts >= (scores > -np.inf).sum(axis=1)
    places = np.where(whole, len(depths) - 1, np.searchsorted(depths, counts))
    return Choice(
        depth=depth,
        ranked=float(counts.mean()),
        ndcg=float(table[places, np.arange(len(counts))].mean()),
        reachable=float(table[-1].mean()),
    )
