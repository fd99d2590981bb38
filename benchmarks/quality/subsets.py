"""Datasets with some of their interactions, for benchmarks that learn from less."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dataset.arrays import VALID, Dataset


def with_interactions(
    data: Dataset, kept: NDArray[np.bool_], splits: NDArray[np.uint8] | None = None
) -> Dataset:
    """The same items and users with some of the interactions; popularity is counted again.

    Args:
        data: Items and histories.
        kept: (interactions,) which ones stay.
        splits: (interactions,) split of each one; by default as before.
    """
    users = data.user_of[kept]
    fewer = replace(
        data,
        offsets=np.searchsorted(users, np.arange(data.users + 1)),
        items=np.asarray(data.items)[kept],
        times=np.asarray(data.times)[kept],
        moments=np.asarray(data.moments)[kept],
        actions=np.asarray(data.actions)[kept],
        searches=None if data.searches is None else data.searches.take(kept),
        splits=np.asarray(data.splits if splits is None else splits)[kept],
    )
    return replace(fewer, popularity=fewer.popularity_before(VALID))
