"""Chooses how the recall sources are merged, by validation users."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dataset.cases import Cases
from evaluation.metrics import ndcg_of_hits
from evaluation.paired_gain import paired_gain
from index.arrays import Scores
from index.merge import Choices, Merge
from index.ranked_list import RankedList
from index.recall_sources import RecallSources

SHORTLIST = 200
"""Items of which recall is computed"""
SHOWN = 10
"""Items of which NDCG is computed"""


Way = TypeVar("Way", Merge, float)


class Figures(NamedTuple):
    """How well one merge serves each case, (cases,) both."""

    recall: NDArray[np.float64]
    """Share of the targets in a shortlist of `SHORTLIST`"""
    ndcg: NDArray[np.float64]
    """NDCG of the first `SHOWN` items"""


def choose(
    sources: RecallSources, users: NDArray[np.float32], cases: Cases, choices: Choices
) -> tuple[Merge, Mapping[Merge, float]]:
    """The best merge for validation users, and the recall of all that were tried.

    Of those whose recall is within one standard error of the highest, it is the one of the highest
    NDCG@10, the simplest of equals: a ranker reorders what was recalled, but where ranking does not
    pay, or the shortlist holds the whole shop, the merge orders the answer.

    First windows and weights are chosen with decay by place, then the half-life, and the weight of
    the neighbour lists again. A half-life is taken if it gains more than the standard error over
    users. Last comes the weight of what the shopper had before.

    Raises:
        ValueError: there are no cases.

    Source of the rule of one standard error: Breiman et al., "Classification and regression trees",
    1984.
    """
    found = dict(figures_by_merge(sources, users, cases, choices.of_sales))
    chosen = by_place = best(found, cases)
    if len(choices.half_lives) > 1:
        then = choices.of_half_lives(by_place)
        new = [merge for merge in then if merge not in found]
        found |= figures_by_merge(sources, users, cases, new)
        by_time = best(found, cases)
        pairs = zip(found[by_place], found[by_time], strict=True)
        if any(paired_gain(before, after, cases.user_rows).pays for before, after in pairs):
            chosen = by_time
    if len(choices.own_weights) > 1:
        then = choices.of_own(chosen)
        new = [merge for merge in then if merge not in found]
        found |= figures_by_merge(sources, users, cases, new)
        chosen = best({merge: found[merge] for merge in then}, cases)
    return chosen, {merge: float(figures.recall.mean()) for merge, figures in found.items()}


def best(found: Mapping[Way, Figures], cases: Cases) -> Way:
    """The way of the highest NDCG whose recall is within one standard error of the highest."""
    most = max(figures.recall.mean() for figures in found.values())
    highest = min(merge for merge, figures in found.items() if figures.recall.mean() == most)
    enough = {}
    for merge, figures in found.items():
        lost = paired_gain(figures.recall, found[highest].recall, cases.user_rows)
        if lost.mean <= lost.standard_error:
            enough[merge] = figures.ndcg.mean()
    return min(merge for merge, ndcg in enough.items() if ndcg == max(enough.values()))


def figures_by_merge(
    sources: RecallSources, users: NDArray[np.float32], cases: Cases, merges: Sequence[Merge]
) -> Mapping[Merge, Figures]:
    """How well the merged shortlist finds future purchases, for each way to merge.

    Args:
        sources: Recall sources.
        users: (cases, dimension) user embeddings.
        cases: Histories and the items to recall.
        merges: Ways to merge them.

    Returns:
        Figures of the cases by merge.

    Raises:
        ValueError: there are no cases.
    """
    if not len(cases):
        raise ValueError("cases must have at least one user, got none")
    unions: dict[tuple[float, int, bool, bool], list[Merge]] = {}
    for merge in merges:
        key = merge.half_life, merge.window, merge.sales_weight > 0, bool(merge.own_weight)
        unions.setdefault(key, []).append(merge)
    recalling = [(those[-1].of(sources), those) for those in unions.values()]
    found: list[list[Scores]] = []
    for case in tqdm(range(len(cases)), "weigh", unit="user", leave=False):
        by_towers, _ = sources.nearest(users[case], cases.excluded[case], SHORTLIST)
        found.append([])
        for variant, those in recalling:
            union = variant.united(
                users[case],
                cases.histories[case],
                by_towers,
                SHORTLIST,
                interaction_codes=cases.interaction_codes[case],
                excluded=cases.excluded[case],
                when=cases.when(case),
            )
            scores, targets = _scores(variant, union, those), cases.targets[case]
            wanted = np.isin(union.rows, targets)
            recalls = (_first(scores, SHORTLIST) & wanted).sum(axis=1) / len(targets)
            ndcgs = ndcg_of_hits(wanted[_in_order(scores, SHOWN)], len(targets), SHOWN)
            found[-1].append(np.stack([recalls, ndcgs], axis=1))
    tried = [merge for _, those in recalling for merge in those]
    by_merge = np.stack([np.concatenate(of_case) for of_case in found], axis=1)
    return {merge: Figures(*figures.T) for merge, figures in zip(tried, by_merge, strict=True)}


def _scores(variant: RecallSources, union: RankedList, merges: Sequence[Merge]) -> Scores:
    """(merges, items) logits of a union by each merge's weights."""
    weight, sales_weight, own_weight = (
        np.array([[getattr(merge, field) or 0.0] for merge in merges], np.float32)
        for field in ("weight", "sales_weight", "own_weight")
    )
    return variant.merged(
        union.cosines,
        union.neighbour_scores,
        union.sales,
        union.own,
        weight=weight,
        sales_weight=sales_weight,
        own_weight=own_weight,
    )


def _first(scores: Scores, size: int) -> NDArray[np.bool_]:
    """Whether each score is among the `size` largest of its row; the first of equals are."""
    if scores.shape[1] <= size:
        return np.ones(scores.shape, bool)
    least = -np.partition(-scores, size - 1, axis=1)[:, size - 1 : size]
    above, equal = scores > least, scores == least
    free = size - above.sum(axis=1, keepdims=True)
    first: NDArray[np.bool_] = above | (equal & (np.cumsum(equal, axis=1) <= free))
    return first


def _in_order(scores: Scores, size: int) -> NDArray[np.int64]:
    """(rows, size at most) places of the largest scores of each row, the largest first."""
    first = np.nonzero(_first(scores, size))[1].reshape(len(scores), -1)
    order = np.argsort(-np.take_along_axis(scores, first, axis=1), axis=1, kind="stable")
    return np.take_along_axis(first, order, axis=1)
