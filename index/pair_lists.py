"""Neighbour lists of a dataset: items bought by the same users, and items bought next."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dataset.actions import strengths
from dataset.arrays import TRAIN, VALID, Dataset
from index.config import NeighboursConfig
from index.item_knn import NeighbourLists, nearest_neighbours, next_items


@dataclass(frozen=True, kw_only=True)
class Purchases:
    """What lists are learnt from: each user, item, action and day of the training split once."""

    places: NDArray[np.bool_]
    """(interactions of the dataset,) which of them"""
    offsets: NDArray[np.int64]
    """(users + 1,): user u owns `[offsets[u], offsets[u + 1])` of the arrays below"""
    items: NDArray[np.int32]
    """(purchases,) item rows, oldest first within a user"""
    strengths: NDArray[np.float32]
    """(purchases,) as of `ItemKNN.fit`"""
    moments: NDArray[np.int32]
    """(purchases,) numbers of the users' moments"""

    @classmethod
    def of(cls, data: Dataset) -> "Purchases":
        """Choose those of a dataset that stand."""
        places = data.counted(data.standing(np.asarray(data.splits) == TRAIN))
        users, items = data.user_of[places], np.asarray(data.items)[places]
        return cls(
            places=places,
            offsets=np.searchsorted(users, np.arange(data.users + 1)),
            items=items,
            strengths=strengths(users, items, data.weights[places]),
            moments=np.asarray(data.moments)[places],
        )


def pair_lists(
    config: NeighboursConfig, data: Dataset, learnt: Purchases
) -> tuple[NeighbourLists, NeighbourLists]:
    """Lists of the items bought by the same users, and of the items bought next.

    A basket without a user counts as one more user, a large one for less. What came next in it is
    unknown.

    Args:
        config: Shrinkage and length of the lists.
        data: The dataset.
        learnt: `Purchases.of` the dataset.
    """
    shrinkage, kept, size = config.shrinkage, config.kept, len(data.item_ids)
    baskets, chosen = data.purchases_without_user, data.bought_without_user(VALID)
    everyone = baskets.after_users(learnt.offsets, learnt.items, kept=chosen)
    of_all = np.concatenate([learnt.strengths, baskets.strengths(kept=chosen)])
    following = next_items(
        learnt.offsets,
        learnt.items,
        size,
        shrinkage=shrinkage,
        kept=kept,
        strengths=learnt.strengths,
        moments=learnt.moments,
    )
    together = nearest_neighbours(*everyone, size, shrinkage=shrinkage, kept=kept, strengths=of_all)
    return together, following


def pairs_to_count(data: Dataset) -> int:
    """At most how many pairs of items `pair_lists` adds up: the sum of squared histories."""
    lengths = (np.diff(data.offsets), np.diff(data.purchases_without_user.offsets))
    return sum(int((of.astype(np.float64) ** 2).sum()) for of in lengths)
