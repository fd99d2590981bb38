"""Baselines that know the time: popularity in a window before now, and item-kNN with time decay."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from evaluation.baselines import BLOCK, ItemKNN, popularity_lists, popularity_rank
from evaluation.metrics import Rows
from evaluation.search import remove, top_k

DAY = 86_400
Counts = Callable[[int], NDArray[np.int64]]
"""Returns the purchases of every item, (items,), in a window that ends before a Unix second"""


def windowed_popularity_lists(
    counts: Counts,
    popularity: NDArray[np.float64],
    excluded: Sequence[Rows],
    nows: NDArray[np.int64],
    k: int,
) -> NDArray[np.int32]:
    """The items most bought in a window before now that are not excluded.

    Args:
        counts: Purchases in the window.
        popularity: (items,) purchases of all time, which order items of equal counts.
        excluded: Item rows of each case to leave out, such as the history's.
        nows: (cases,) Unix seconds.
        k: Items per case.

    Returns:
        (cases, k) item rows, best first, -1 if no item is left.
    """
    lists = np.empty((len(excluded), k), np.int32)
    ranks = popularity_rank(popularity)
    for now, cases in _by_now(nows):
        order = np.lexsort((ranks, counts(now)))
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        lists[cases] = popularity_lists(places, [excluded[case] for case in cases.tolist()], k)
    return lists


@dataclass(frozen=True, kw_only=True)
class TimedKNN:
    """Item-kNN over users and over moments, whose history halves with time.

    The similarity is the cosine of two items' sets of users plus that of their sets of moments. A
    score may be multiplied by a power of the item's purchases before now.
    """

    similarity: sparse.csr_array[np.float32]
    """(items, items), symmetric, 0 on the diagonal"""
    popularity: NDArray[np.float64]
    """(items,) number of users of each item; breaks ties in scores"""

    @classmethod
    def fit(
        cls,
        user_starts: NDArray[np.int64],
        moment_starts: NDArray[np.int64],
        items: Rows,
        n_items: int,
        *,
        shrinkage: float = 10.0,
        strengths: NDArray[np.floating] | None = None,
    ) -> "TimedKNN":
        """Count which items share users, and which share moments.

        Args:
            user_starts: (users + 1,): user u owns `items[user_starts[u]:user_starts[u + 1]]`.
            moment_starts: (moments + 1,): as `user_starts`, for the users' moments.
            items: (interactions,) item rows of the training split.
            n_items: Size of the corpus.
            shrinkage: The larger, the less a rare pair counts; at least 0.
            strengths: (interactions,) as of `ItemKNN.fit`.
        """
        by_user = ItemKNN.fit(user_starts, items, n_items, shrinkage, strengths)
        by_moment = ItemKNN.fit(moment_starts, items, n_items, shrinkage, strengths)
        return cls(
            similarity=by_user.similarity + by_moment.similarity, popularity=by_user.popularity
        )

    def lists(
        self,
        histories: Sequence[Rows],
        ages: Sequence[NDArray[np.int64]],
        k: int,
        *,
        half_life: float,
        boost: Callable[[int], NDArray[np.float32]] | None = None,
        excluded: Sequence[Rows] | None = None,
        weights: Sequence[NDArray[np.floating]] | None = None,
    ) -> NDArray[np.int32]:
        """The k best items of each case that are not excluded.

        Args:
            histories: Item rows of each case.
            ages: Seconds since each interaction of the histories.
            k: Items per case.
            half_life: Days in which an interaction's weight halves.
            boost: Returns the factors (items,) of a case's scores, by its position.
            excluded: Item rows of each case to leave out; by default the history's.
            weights: Further weights of each history's items; by default 1.

        Returns:
            (cases, k) item rows, best first; popular items follow those with a score.
        """
        preference = popularity_rank(self.popularity)
        found = np.empty((len(histories), k), np.int32)
        step = max(1, BLOCK // len(self.popularity))
        for start in range(0, len(histories), step):
            block = slice(start, start + step)
            of_block = None if weights is None else weights[block]
            scores = self._scores(histories[block], ages[block], half_life, of_block)
            if boost is not None:
                for row in range(len(scores)):
                    scores[row] *= boost(start + row)
            remove(scores, (histories if excluded is None else excluded)[block])
            found[block] = top_k(scores, k, preference)[1]
        return found

    def _scores(
        self,
        histories: Sequence[Rows],
        ages: Sequence[NDArray[np.int64]],
        half_life: float,
        of_items: Sequence[NDArray[np.floating]] | None,
    ) -> NDArray[np.float32]:
        """(cases, items) sums over the histories of 0.5^(days / half-life) × similarity."""
        owners = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
        weights = 0.5 ** (np.maximum(np.concatenate(ages), 0) / DAY / half_life)
        if of_items is not None:
            weights = weights * np.concatenate(of_items)
        past = sparse.csr_array(
            (weights.astype(np.float32), (owners, np.concatenate(histories).astype(np.int64))),
            shape=(len(histories), len(self.popularity)),
        )
        return (past @ self.similarity).toarray()


def _by_now(nows: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Each distinct time with the positions of its cases."""
    for now in np.unique(nows).tolist():
        yield now, np.flatnonzero(nows == now)
