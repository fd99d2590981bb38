"""Ids outside, rows inside: items and users of a release."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dataset.arrays import TEST, Dataset
from evaluation.baselines import popularity_rank


class Catalogue:
    """Looks up items and users of a release. Knows nothing of models."""

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self._row_of = {item_id: row for row, item_id in enumerate(data.item_ids)}
        self._user_of = {user_id: row for row, user_id in enumerate(data.user_ids)}
        ranks = popularity_rank(data.popularity)
        self.by_popularity: NDArray[np.int32] = np.argsort(-ranks).astype(np.int32)
        """(items,): item rows, best-selling first; equals in random order."""

    def __len__(self) -> int:
        return len(self._data.item_ids)

    def item_id(self, row: int) -> str:
        """Id of an item row."""
        return self._data.item_ids[row]

    def title(self, row: int) -> str:
        """Title of an item row."""
        return self._data.titles[row]

    def popularity(self, rows: NDArray[np.int32]) -> NDArray[np.int64]:
        """(rows,): training purchases of each item."""
        return self._data.popularity[rows]

    def row(self, item_id: str) -> int | None:
        """Row of an item id, None where the release does not hold it."""
        return self._row_of.get(item_id)

    def rows(self, item_ids: Sequence[str]) -> tuple[NDArray[np.int32], tuple[str, ...]]:
        """Rows of the known ids, in order, and the unknown ids."""
        known = [self._row_of[i] for i in item_ids if i in self._row_of]
        unknown = tuple(dict.fromkeys(i for i in item_ids if i not in self._row_of))
        return np.array(known, np.int32), unknown

    def history(self, user_id: str) -> NDArray[np.int32] | None:
        """Everything that the release knows of a user, oldest first; None for a stranger."""
        user = self._user_of.get(user_id)
        return None if user is None else self._data.history(user, before=TEST + 1)
