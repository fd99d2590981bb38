"""Chooses how much generated items count beside the other sources, by validation users."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dataset.cases import Cases
from evaluation.metrics import ndcg_of_hits
from index.generated import Generated, Generates
from index.ranked_list import RankedList
from index.recall_sources import RecallSources
from index.source_weight import SHORTLIST, SHOWN, Figures, best

WEIGHTS = (0.0, 0.125, 0.25, 0.5, 1.0, 2.0)


def choose_weight(
    sources: RecallSources,
    generate: Generates,
    users: NDArray[np.float32],
    cases: Cases,
    weights: Sequence[float] = WEIGHTS,
) -> tuple[float, Mapping[float, Figures]]:
    """The best weight for validation users, and the figures of all weights.

    Of the weights whose recall is within one standard error of the highest, it is the one of the
    highest NDCG@10, see `index.source_weight.choose`; 0 leaves the source out.

    Args:
        sources: Recall sources without generated items.
        generate: Generates items.
        users: (cases, dimension) embeddings of the shoppers.
        cases: Histories and the items to find; at least one.
        weights: Weights to choose from.
    """
    found = figures_by_weight(sources, generate, users, cases, weights)
    return best(found, cases), found


def figures_by_weight(
    sources: RecallSources,
    generate: Generates,
    users: NDArray[np.float32],
    cases: Cases,
    weights: Sequence[float],
) -> Mapping[float, Figures]:
    """How well a shortlist finds the items of each case, for each weight of generated items."""
    generated = Generated(generate=generate, weight=1.0)
    merged = replace(sources, generated=generated)
    recalls, ndcgs = np.empty((2, len(weights), len(cases)))
    for case in tqdm(range(len(cases)), "weigh generated", unit="user", leave=False):
        excluded = cases.excluded[case]
        (recalled,) = generated.recalled(
            sources.index, [cases.histories[case]], [excluded], [None], SHORTLIST
        )
        union = merged.united(
            users[case],
            cases.histories[case],
            sources.nearest(users[case], excluded, SHORTLIST)[0],
            SHORTLIST,
            interaction_codes=cases.interaction_codes[case],
            excluded=excluded,
            when=cases.when(case),
            by_generated=recalled,
        )
        targets = cases.targets[case]
        for place, weight in enumerate(weights):
            hit = np.isin(_shortlist(merged, union, weight), targets)
            recalls[place, case] = hit.sum() / len(targets)
            ndcgs[place, case] = ndcg_of_hits(hit[None, :SHOWN], len(targets), SHOWN)[0]
    return {
        weight: Figures(recall, gain)
        for weight, recall, gain in zip(weights, recalls, ndcgs, strict=True)
    }


def _shortlist(sources: RecallSources, union: RankedList, weight: float) -> NDArray[np.int32]:
    """Item rows of the shortlist of a union by a weight; without it, generated items are none."""
    if not weight:
        others = union.by_towers | union.by_neighbours | union.by_sales | union.by_own
        union = union.take(np.flatnonzero(others))
    scores = sources.merged(
        union.cosines,
        union.neighbour_scores,
        union.sales,
        union.own,
        generated=union.generated,
        generated_weight=weight,
    )
    return union.rows[np.argsort(-scores, kind="stable")[:SHORTLIST]]
