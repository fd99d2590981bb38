"""Ids outside, rows inside: items and users of a release."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from dataset.arrays import TEST, Dataset
from dataset.context import action_numbers, contexts
from dataset.postings import bitmap_of, rows_of
from evaluation.baselines import popularity_rank
from serving.query import Query


class Catalogue:
    """Looks up items and users of a release. Knows nothing of models."""

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self._row_of = {item_id: row for row, item_id in enumerate(data.item_ids)}
        self._user_of = {user_id: row for row, user_id in enumerate(data.user_ids)}
        self._actions = {name: number for number, name in enumerate(data.action_names, 1)}
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

    def popular(self, size: int, allowed: BitMap) -> NDArray[np.int32]:
        """(found,): the best-selling of some item rows, in the order of `by_popularity`."""
        wanted, found, start, block = min(size, len(allowed)), 0, 0, size
        parts: list[NDArray[np.int32]] = [self.by_popularity[:0]]
        while found < wanted:
            rows = self.by_popularity[start : start + block]
            parts.append(rows[np.isin(rows, rows_of(bitmap_of(rows) & allowed))])
            found, start, block = found + len(parts[-1]), start + block, 2 * block
        return np.concatenate(parts)[:wanted]

    def history(self, user_id: str) -> tuple[NDArray[np.int32], NDArray[np.int32]] | None:
        """Everything that the release knows of a user, oldest first; None for a stranger.

        Returns:
            Item rows and their contexts.
        """
        user = self._user_of.get(user_id)
        if user is None:
            return None
        every = TEST + 1
        return (
            self._data.history(user, before=every),
            self._data.history_contexts(user, before=every),
        )

    def contexts(self, query: Query) -> NDArray[np.int32]:
        """Contexts of the known items of a query's history, as if there were no others.

        Of a release whose interactions had no times, a query's say nothing.
        """
        known = np.array([item_id in self._row_of for item_id in query.history], bool)
        numbers = np.zeros(len(query.history), np.int32)
        if query.history_actions:
            numbers = action_numbers(query.history_actions, self._actions)
        times = None
        if query.history_times and self._data.timed:
            times = np.asarray(query.history_times, np.int64)[known]
        return contexts(times, numbers[known], np.zeros(1, np.int64))
