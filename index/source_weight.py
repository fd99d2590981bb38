"""Chooses the weight of the neighbour lists by the recall of validation users."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dataset.cases import Cases
from index.recall_sources import RecallSources

WEIGHTS = (0.0, 0.125, 0.25, 0.5, 1.0, 2.0)
SHORTLIST = 200
UNDECIDED = 1.0
"""Weight where no user can decide: suits the head of a list, as no ranker is trained then"""
UNDECIDED_NOTE = (
    "no user's next item can be predicted in the validation split, so the neighbour lists weigh "
    f"{UNDECIDED} (neighbours.weight)"
)


def recall_by_weight(
    sources: RecallSources, users: NDArray[np.float32], cases: Cases
) -> Mapping[float, float]:
    """Recall@200 of future purchases by the merged shortlist, for each weight.

    Args:
        sources: Recall sources whose weight is to be chosen.
        users: (cases, dimension) user embeddings.
        cases: Histories and the items to recall.

    Returns:
        Mean recall over the cases by weight, smallest weight first.

    Raises:
        ValueError: there are no cases.
    """
    if not len(cases):
        raise ValueError("cases must have at least one user, got none")
    found = np.zeros((len(cases), len(WEIGHTS)))
    for case in tqdm(range(len(cases)), "weigh", unit="user", leave=False):
        union = sources.union(
            users[case],
            cases.histories[case],
            SHORTLIST,
            interaction_codes=cases.interaction_codes[case],
            excluded=cases.excluded[case],
        )
        for column, weight in enumerate(WEIGHTS):
            scores = sources.merged(union.cosines, union.neighbour_scores, weight=weight)
            head = union.rows[np.argsort(-scores, kind="stable")[:SHORTLIST]]
            found[case, column] = np.isin(cases.targets[case], head).mean()
    return dict(zip(WEIGHTS, found.mean(axis=0).tolist(), strict=True))
