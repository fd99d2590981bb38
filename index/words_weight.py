"""Chooses how much the words of a search count beside the towers, by cases that search."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dataset.cases import Cases
from evaluation.metrics import dcg, gains_at, ideal_gain
from index.recall_sources import RecallSources
from index.source_weight import SHORTLIST, SHOWN, Figures, best

WEIGHTS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
UNDECIDED = 8.0
"""Weight where no search can decide"""


def choose_words(
    sources: RecallSources,
    users: NDArray[np.float32],
    cases: Cases,
    weights: Sequence[float] = WEIGHTS,
    *,
    ranked: bool,
) -> tuple[float, Mapping[float, float]]:
    """The best weight for cases that search, and the NDCG@10 of all weights.

    Where a ranker orders what searches find: of the weights whose recall is within one standard
    error of the highest, the one of the highest NDCG@10, see `index.source_weight.choose`.
    Elsewhere the merge orders the answer: the one of the highest NDCG@10.

    Args:
        sources: Recall sources, with a lexical one.
        users: (cases, dimension) embeddings of the shoppers, with their searches.
        cases: Histories, searches, and the items to find; at least one.
        weights: Weights to choose from.
        ranked: Whether a ranker orders what searches find.
    """
    found = figures_by_weight(sources, users, cases, weights)
    ndcgs = {weight: float(figures.ndcg.mean()) for weight, figures in found.items()}
    first = min(weight for weight, ndcg in ndcgs.items() if ndcg == max(ndcgs.values()))
    return best(found, cases) if ranked else first, ndcgs


def figures_by_weight(
    sources: RecallSources, users: NDArray[np.float32], cases: Cases, weights: Sequence[float]
) -> Mapping[float, Figures]:
    """How well a shortlist finds the items of each case, for each weight of the words."""
    assert sources.lexical is not None
    recalls, ndcgs = np.empty((2, len(weights), len(cases)))
    for case in tqdm(range(len(cases)), "weigh words", unit="search", leave=False):
        left_out, search = cases.excluded[case], cases.search(case)
        towers, _ = sources.nearest(users[case], left_out, SHORTLIST)
        words = sources.lexical.scores(search)
        by_words = sources.lexical.best(words, SHORTLIST + len(left_out))
        by_words = by_words[~np.isin(by_words, left_out)][:SHORTLIST]
        rows = np.concatenate([towers, by_words[~np.isin(by_words, towers)]])
        cosines = sources.index.vectors(rows) @ users[case] / sources.temperature
        targets = cases.targets[case]
        gains = np.ones(len(targets), np.float32) if cases.gains is None else cases.gains[case]
        ideal = ideal_gain(gains, SHOWN)
        for place, weight in enumerate(weights):
            recalled = rows if weight else towers
            order = np.argsort(-(cosines + weight * words[rows])[: len(recalled)], kind="stable")
            ranked = recalled[order[:SHORTLIST]]
            recalls[place, case] = np.isin(targets, ranked).mean()
            gained = gains_at(ranked[None, :SHOWN], [targets], [gains])
            ndcgs[place, case] = dcg(gained)[0] / ideal
    return {
        weight: Figures(recall, ndcg)
        for weight, recall, ndcg in zip(weights, recalls, ndcgs, strict=True)
    }
