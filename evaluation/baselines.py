"""Simple baselines, popularity and item-kNN; both use the training split only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from evaluation.metrics import Rows
from evaluation.search import remove, top_k

BLOCK = 1 << 23
"""Scores in memory at once."""


def popularity_lists(
    popularity: NDArray[np.number], excluded: Sequence[Rows], k: int, *, seed: int = 0
) -> NDArray[np.int32]:
    """The most popular items that are not excluded.

    Args:
        popularity: (items,) number of users in training.
        excluded: Item rows of each user to leave out, such as the history's.
        k: Items per user.
        seed: Seed of the order among equally popular items.

    Returns:
        (users, k) item rows, best first, -1 if no item is left.
    """
    longest = max((len(rows) for rows in excluded), default=0)
    best_first = np.argsort(-popularity_rank(popularity, seed=seed))[: k + longest]
    lists = np.full((len(excluded), k), -1, np.int32)
    for row, left_out in zip(lists, excluded, strict=True):
        best = best_first[~np.isin(best_first, left_out)][:k]
        row[: len(best)] = best
    return lists


def popularity_rank(popularity: NDArray[np.number], *, seed: int = 0) -> NDArray[np.int64]:
    """(items,): distinct ranks, 0 for the least popular; ties are in random order, not by row."""
    shuffled = np.random.default_rng(seed).permutation(len(popularity))
    ranks = np.empty(len(popularity), np.int64)
    ranks[np.lexsort((shuffled, popularity))] = np.arange(len(popularity))
    return ranks


@dataclass(frozen=True, kw_only=True)
class ItemKNN:
    """Recommends items with the same users as the history's; newer purchases weigh more.

    The similarity is the cosine of two items' sets of users, shrunk for pairs with few common users
    (Sarwar et al., WWW 2001; Deshpande & Karypis, TOIS 2004).
    """

    similarity: sparse.csr_array[np.float32]
    """(items, items), symmetric, 0 on the diagonal, at most 1."""
    popularity: NDArray[np.float64]
    """(items,): weighted number of users of each item; breaks ties in scores."""

    @classmethod
    def fit(
        cls,
        offsets: NDArray[np.int64],
        items: Rows,
        n_items: int,
        shrinkage: float = 20.0,
        strengths: NDArray[np.floating] | None = None,
    ) -> "ItemKNN":
        """Count which items share users: c_ij / (sqrt(n_i n_j) + shrinkage).

        With strengths, n_i is the sum of the item's strengths over its users, and c_ij the sum of
        sqrt(strength of i × strength of j) over the users of both.

        Args:
            offsets: (users + 1,): user u owns `items[offsets[u]:offsets[u + 1]]`.
            items: (interactions,) item rows of the training split; repeats count once.
            n_items: Size of the corpus.
            shrinkage: The larger, the less a rare pair counts; at least 0.
            strengths: (interactions,) how much each one's user and item count, at most 1, equal for
                repeats; by default 1.

        Raises:
            ValueError: `shrinkage` is negative.
        """
        if shrinkage < 0:
            raise ValueError(f"shrinkage must be at least 0, got {shrinkage}")
        taken, counts = users_by_items(offsets, items, n_items, strengths)
        shared = (taken.T @ taken).tocoo()
        left, right = shared.coords
        weights = shared.data / (np.sqrt(counts[left] * counts[right]) + shrinkage)
        apart = left != right
        similarity = sparse.csr_array(
            (weights[apart].astype(np.float32), (left[apart], right[apart])),
            shape=(n_items, n_items),
        )
        return cls(similarity=similarity, popularity=counts)

    def scores(
        self,
        histories: Sequence[Rows],
        *,
        decay: float = 0.7,
        weights: Sequence[NDArray[np.floating]] | None = None,
    ) -> NDArray[np.float32]:
        """Scores: the sum over a history of decay^age × similarity; the last item has age 0.

        Args:
            histories: Item rows of each user, oldest first.
            decay: Weight of an item relative to the next newer one.
            weights: Further weights of each history's items; by default 1.

        Returns:
            (users, items) scores, at least 0.
        """
        lengths = [len(history) for history in histories]
        flat = np.concatenate(histories).astype(np.int64)
        ages = np.concatenate([np.arange(length)[::-1] for length in lengths])
        users = np.repeat(np.arange(len(histories)), lengths)
        shape = (len(histories), len(self.popularity))
        by_age = (np.float32(decay) ** ages).astype(np.float32)
        if weights is not None:
            by_age *= np.concatenate(weights).astype(np.float32)
        recent = sparse.csr_array((by_age, (users, flat)), shape=shape)
        return (recent @ self.similarity).toarray()

    def lists(
        self,
        histories: Sequence[Rows],
        k: int,
        *,
        decay: float = 0.7,
        seed: int = 0,
        weights: Sequence[NDArray[np.floating]] | None = None,
        excluded: Sequence[Rows] | None = None,
    ) -> NDArray[np.int32]:
        """The k best items of each user, without those excluded.

        The most popular items follow the items with a score.

        Args:
            histories: Item rows of each user, oldest first.
            k: Items per user.
            decay: Weight of an item relative to the next newer one.
            seed: Seed of the order among items of equal score and popularity.
            weights: Further weights of each history's items; by default 1.
            excluded: Item rows of each user to leave out; by default the history's.

        Returns:
            (users, k) item rows, best first, -1 if no item is left.
        """
        preference = popularity_rank(self.popularity, seed=seed)
        found = np.empty((len(histories), k), np.int32)
        step = max(1, BLOCK // len(self.popularity))
        for start in range(0, len(histories), step):
            block = histories[start : start + step]
            of_block = None if weights is None else weights[start : start + step]
            scores = self.scores(block, decay=decay, weights=of_block)
            remove(scores, block if excluded is None else excluded[start : start + step])
            found[start : start + step] = top_k(scores, k, preference)[1]
        return found


def users_by_items(
    offsets: NDArray[np.int64],
    items: Rows,
    n_items: int,
    strengths: NDArray[np.floating] | None = None,
) -> tuple[sparse.csr_array[np.float32], NDArray[np.float64]]:
    """Which users have which items.

    Returns:
        (users, items) square roots of the strengths, and (items,) sums of the strengths, for the
        arguments of `ItemKNN.fit`.
    """
    shape = (len(offsets) - 1, n_items)
    users = np.repeat(np.arange(shape[0]), np.diff(offsets))
    given = np.ones(len(items)) if strengths is None else strengths
    _, once = np.unique(users * n_items + items, return_index=True)
    of_pairs = given[once].astype(np.float64)
    taken = sparse.csr_array(
        (np.sqrt(of_pairs).astype(np.float32), (users[once], items[once])), shape=shape
    )
    return taken, np.bincount(items[once], of_pairs, n_items).astype(np.float64)
