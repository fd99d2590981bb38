"""Learns how many items of a shortlist are worth ranking."""

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
    """Mean NDCG@10"""
    reachable: float
    """Mean NDCG@10 if all are ranked"""

    @property
    def facts(self) -> dict[str, Any]:
        """Facts for a manifest."""
        return {
            "value": round(self.depth.value, 4),
            "mean ranked": round(self.ranked, 1),
            "ndcg@10": round(self.ndcg, 4),
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
    depths = np.unique(np.minimum(np.arange(LEAST, most + STEP, STEP), most))
    shown = [_shown(rows, logits, int(depth)) for depth in depths]
    table = np.stack([ndcg(lists, targets, TOP, gains) for lists in shown])
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
    """A rule with what it does; `table` (depths, lists) has NDCG@10 by number of ranked items."""
    counts = depth.of_all(scores)
    places = np.minimum(np.searchsorted(depths, counts), len(depths) - 1)
    return Choice(
        depth=depth,
        ranked=float(counts.mean()),
        ndcg=float(table[places, np.arange(len(counts))].mean()),
        reachable=float(table[-1].mean()),
    )


def _shown(
    rows: NDArray[np.int32], logits: NDArray[np.floating[Any]], depth: int
) -> NDArray[np.int32]:
    """(lists, 10) first items if the ranker orders the first `depth` ones."""
    order = np.argsort(-logits[:, :depth], axis=1, kind="stable")
    head = np.take_along_axis(rows[:, :depth], order, axis=1)
    return np.concatenate([head, rows[:, depth:]], axis=1)[:, :TOP]
