"""Chooses how the recall sources are merged by the recall of validation users."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dataset.cases import Cases
from evaluation.paired_gain import paired_gain
from index.arrays import Scores
from index.merge import Choices, Merge
from index.ranked_list import RankedList
from index.recall_sources import RecallSources

SHORTLIST = 200


def choose(
    sources: RecallSources, users: NDArray[np.float32], cases: Cases, choices: Choices
) -> tuple[Merge, Mapping[Merge, float]]:
    """The merge that recalls most, the simplest of equals, and the recall of all that were tried.

    First windows and weights are chosen with decay by place, then the half-life, and the weight of
    the neighbour lists again. A half-life is taken if its gain exceeds the standard error over
    users.

    Raises:
        ValueError: there are no cases.
    """
    found = dict(recall_by_merge(sources, users, cases, choices.of_sales))
    best = by_place = _best(found)
    if len(choices.half_lives) > 1:
        then = choices.of_half_lives(by_place)
        new = [merge for merge in then if merge not in found]
        found |= recall_by_merge(sources, users, cases, new)
        by_time = _best(found)
        if paired_gain(found[by_place], found[by_time], cases.user_rows).pays:
            best = by_time
    return best, {merge: float(recalls.mean()) for merge, recalls in found.items()}


def _best(found: Mapping[Merge, NDArray[np.float64]]) -> Merge:
    means = np.stack(list(found.values()), axis=1).mean(axis=0)
    return min(merge for merge, mean in zip(found, means, strict=True) if mean == means.max())


def recall_by_merge(
    sources: RecallSources, users: NDArray[np.float32], cases: Cases, merges: Sequence[Merge]
) -> Mapping[Merge, NDArray[np.float64]]:
    """Recall@200 of future purchases by the merged shortlist, for each way to merge.

    Args:
        sources: Recall sources.
        users: (cases, dimension) user embeddings.
        cases: Histories and the items to recall.
        merges: Ways to merge them.

    Returns:
        Recalls of the cases, (cases,), by merge.

    Raises:
        ValueError: there are no cases.
    """
    if not len(cases):
        raise ValueError("cases must have at least one user, got none")
    unions: dict[tuple[float, int, bool], list[Merge]] = {}
    for merge in merges:
        key = merge.half_life, merge.window, merge.sales_weight > 0
        unions.setdefault(key, []).append(merge)
    recalling = [(those[-1].of(sources), those) for those in unions.values()]
    found: list[list[float]] = []
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
            wanted = np.isin(union.rows, cases.targets[case])
            heads = _first(_scores(variant, union, those), SHORTLIST)
            found[-1] += ((heads & wanted).sum(axis=1) / len(cases.targets[case])).tolist()
    tried = [merge for _, those in recalling for merge in those]
    return dict(zip(tried, np.array(found).T, strict=True))


def _scores(variant: RecallSources, union: RankedList, merges: Sequence[Merge]) -> Scores:
    """(merges, items) logits of a union by each merge's weights."""
    weight, sales_weight = (
        np.array([[getattr(merge, field)] for merge in merges], np.float32)
        for field in ("weight", "sales_weight")
    )
    return variant.merged(
        union.cosines,
        union.neighbour_scores,
        union.sales,
        weight=weight,
        sales_weight=sales_weight,
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
