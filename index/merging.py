"""How much the neighbour lists count beside the towers: what recalls most for validation users."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dataset.arrays import Cases
from index.config import NeighboursConfig
from index.item_index import ItemIndex
from index.neighbours import Neighbours

WEIGHTS = (0.0, 0.125, 0.25, 0.5, 1.0, 2.0)
SHORTLIST = 200
BLOCK = 256


def recall_by_weight(
    index: ItemIndex,
    neighbours: Neighbours,
    users: NDArray[np.float32],
    cases: Cases,
    *,
    temperature: float,
    config: NeighboursConfig,
) -> Mapping[float, float]:
    """Recall of the merged shortlist of 200 under each weight.

    Args:
        index: Over the items' embeddings.
        neighbours: Lists of every item.
        users: (cases, dimension) embeddings.
        cases: Histories, and what is to be recalled.
        temperature: Divides cosines.
        config: Decay and floor.

    Returns:
        Mean over the cases, by weight, smallest weight first.

    Raises:
        ValueError: there are no cases.
    """
    if not len(cases):
        raise ValueError("cases must hold a user, got none")
    found = np.zeros((len(cases), len(WEIGHTS)))
    longest = max(len(history) for history in cases.histories)
    k = min(SHORTLIST + longest, len(index))
    for start in range(0, len(cases), BLOCK):
        _, nearest = index.search(users[start : start + BLOCK], k)
        for case, rows in enumerate(nearest, start):
            history = cases.histories[case]
            by_towers = rows[(rows >= 0) & ~np.isin(rows, history)][:SHORTLIST].astype(np.int32)
            known, scores = neighbours.scores(history, decay=config.decay)
            fresh = ~np.isin(known, history)
            known, scores = known[fresh], scores[fresh]
            strongest = known[np.argsort(-scores, kind="stable")[:SHORTLIST]]
            either = np.union1d(by_towers, strongest)
            shared = np.zeros(len(either))
            shared[np.isin(either, known)] = scores[np.isin(known, either)]  # both ascending
            towers = index.vectors(either) @ users[case] / temperature
            lists = np.log(shared + config.floor)
            for column, weight in enumerate(WEIGHTS):
                head = either[np.argsort(-(towers + weight * lists), kind="stable")[:SHORTLIST]]
                found[case, column] = np.isin(cases.targets[case], head).mean()
    return dict(zip(WEIGHTS, found.mean(axis=0).tolist(), strict=True))
