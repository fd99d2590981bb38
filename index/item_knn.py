"""Item-kNN as a recall source: stored lists of the items that were bought by the same users."""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from evaluation.baselines import users_by_items
from lineage.arrays import read_array
from lineage.stages import NEIGHBOURS

PARTS = ("starts", "rows", "weights")
NEXT_ITEMS = "next_items"
"""File name prefix of the lists of items bought next."""
LEAST = -150.0
"""Smaller powers of two are 0 in float32."""
BLOCK = 1 << 22
"""Pairs of items of one user that are added up at once, which bounds memory."""
AHEAD = 3
"""Largest distance in a history, in moments, at which a later item counts as bought next."""


@dataclass(frozen=True, kw_only=True)
class NeighbourLists:
    """For every item, the items that share most users with it, as memory-mapped arrays."""

    starts: NDArray[np.int64]
    """(items + 1,): item i owns `[starts[i], starts[i + 1])` of the two arrays below."""
    rows: NDArray[np.int32]
    """(pairs,): item rows of neighbours, the nearest first"""
    weights: NDArray[np.float32]
    """(pairs,): shrunk cosine of the two items' sets of users, in (0, 1]"""

    def __len__(self) -> int:
        return len(self.starts) - 1

    def scores(
        self,
        history: NDArray[np.integer[Any]],
        *,
        decay: float,
        forgotten: bool = True,
        weights: NDArray[np.floating] | None = None,
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Item-kNN scores: the sum over a history of decay^age × weight; the last item has age 0.

        Args:
            history: Item rows, oldest first; rows beyond the lists add nothing.
            decay: Weight of an item relative to the next newer one.
            forgotten: Whether rows count that only items too old to weigh anything list; they
                score 0.
            weights: (history,) further weights of the history's items, at most 1; by default 1.

        Returns:
            The item rows in the lists of the history, ascending and distinct, and their scores.
        """
        newest_first, ages_read = history[::-1], _ages_that_count(decay)
        if not len(newest_first):
            return np.empty(0, np.int32), np.empty(0, np.float32)
        ages, listed, similar = self._lists(newest_first[:ages_read])
        scores = similar * np.float64(decay) ** ages
        if weights is not None:
            scores *= weights[::-1][ages]
        scores = scores.astype(np.float32)
        every = listed
        if forgotten and len(newest_first) > ages_read:
            _, older, _ = self._lists(np.unique(newest_first[ages_read:]))
            every = np.concatenate([listed, older])
        if len(every) > len(self):  # counting all rows is quicker than sorting the listed ones
            rows = np.flatnonzero(np.bincount(every, minlength=len(self))).astype(np.int32)
            return rows, np.bincount(listed, scores, len(self))[rows].astype(np.float32)
        rows = np.unique(every)
        place = np.searchsorted(rows, listed)
        return rows, np.bincount(place, scores, len(rows)).astype(np.float32)

    def between(
        self, owners: NDArray[np.integer[Any]], rows: NDArray[np.integer[Any]]
    ) -> NDArray[np.float32]:
        """(owners, rows): weight of each row in each owner's list, 0 if the list lacks it.

        Args:
            owners: Item rows whose lists are looked up; rows beyond the lists have an empty one.
            rows: Item rows to look for, distinct; rows beyond the lists are in none.
        """
        weights = np.zeros((len(owners), len(rows)), np.float32)
        if not weights.size:
            return weights
        owner, listed, values = self._lists(owners)
        column = np.full(len(self), -1, np.int32)
        known = np.flatnonzero(rows < len(self))
        column[rows[known]] = known
        place = column[listed]
        found = np.flatnonzero(place >= 0)
        weights[owner[found], place[found]] = values[found]
        return weights

    def _lists(
        self, owners: NDArray[np.integer[Any]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
        """Concatenated lists of at least one item: position in `owners`, item row, weight."""
        ends = len(self)  # a row beyond the lists has an empty list
        firsts = self.starts[np.minimum(owners, ends)]
        lengths = self.starts[np.minimum(owners + 1, ends)] - firsts
        stops = np.cumsum(lengths)
        owner = np.repeat(np.arange(len(owners)), lengths)
        places = np.arange(stops[-1]) + np.repeat(firsts - stops + lengths, lengths)
        return owner, self.rows[places], self.weights[places]

    def save(self, folder: Path, name: str = NEIGHBOURS) -> None:
        """Write `<name>.<part>.npy`."""
        for part in PARTS:
            np.save(folder / f"{name}.{part}.npy", getattr(self, part))

    @classmethod
    def load(cls, folder: Path, name: str = NEIGHBOURS) -> "NeighbourLists":
        """Memory-map the arrays that `save` wrote."""
        return cls(**{part: read_array(folder / f"{name}.{part}.npy") for part in PARTS})


def _ages_that_count(decay: float) -> int:
    """Number of ages at which decay^age is above 0 in float32."""
    return sys.maxsize if decay == 1 else int(LEAST / math.log2(decay)) + 1


def nearest_neighbours(
    offsets: NDArray[np.int64],
    items: NDArray[np.int32],
    n_items: int,
    *,
    shrinkage: float,
    kept: int,
    seed: int = 0,
    strengths: NDArray[np.float32] | None = None,
) -> NeighbourLists:
    """Count which items share users, and keep the strongest neighbours of each item.

    The weights are those of `ItemKNN`, computed in blocks of items.

    Args:
        offsets: (users + 1,): user u owns `items[offsets[u]:offsets[u + 1]]`.
        items: (interactions,) item rows of the training split; repeats count once.
        n_items: Size of the corpus.
        shrinkage: The larger, the less a rare pair counts; at least 0.
        kept: Most neighbours per item.
        seed: Seed of the random order among equal weights, so that row numbers do not decide it.
        strengths: (interactions,) as of `ItemKNN.fit`.

    Raises:
        ValueError: `shrinkage` is negative or `kept` is below 1.
    """
    if kept < 1:
        raise ValueError(f"kept must be at least 1, got {kept}")
    if shrinkage < 0:
        raise ValueError(f"shrinkage must be at least 0, got {shrinkage}")
    taken, counts = users_by_items(offsets, items, n_items, strengths)
    owned, chance = taken.T.tocsr(), np.random.default_rng(seed)
    lists = []
    for start, end in pairwise(_blocks(taken)):
        shared = owned[start:end] @ taken
        shared.sort_indices()
        owners = np.repeat(np.arange(start, end), np.diff(shared.indptr))
        apart = shared.indices != owners
        owners, rows = owners[apart], shared.indices[apart]
        weights = shared.data[apart] / (np.sqrt(counts[owners] * counts[rows]) + shrinkage)
        lengths = np.bincount(owners - start, minlength=end - start)
        lists.append(_strongest(lengths, rows, weights.astype(np.float32), kept, chance))
    return _joined(lists)


def _blocks(taken: Any) -> list[int]:
    """Bounds of blocks of items with about `BLOCK` pairs each, for (users, items)."""
    n_items, lengths = taken.shape[1], np.diff(taken.indptr)
    pairs = np.bincount(taken.indices, np.repeat(lengths, lengths), n_items)
    blocks = np.cumsum(pairs) // BLOCK
    return [0, *(1 + np.flatnonzero(np.diff(blocks))).tolist(), n_items]


def _joined(lists: Sequence[NeighbourLists]) -> NeighbourLists:
    """The lists of consecutive blocks of items as one."""
    before = np.cumsum([0, *(len(block.rows) for block in lists)])
    starts = [block.starts[:-1] + shift for block, shift in zip(lists, before, strict=False)]
    return NeighbourLists(
        starts=np.concatenate([*starts, before[-1:]]).astype(np.int64),
        rows=np.concatenate([block.rows for block in lists]),
        weights=np.concatenate([block.weights for block in lists]),
    )


def next_items(
    offsets: NDArray[np.int64],
    items: NDArray[np.int32],
    n_items: int,
    *,
    shrinkage: float,
    kept: int,
    seed: int = 0,
    strengths: NDArray[np.float32] | None = None,
    moments: NDArray[np.integer[Any]] | None = None,
) -> NeighbourLists:
    """Count which items were bought after each item, and keep the most frequent ones.

    A pair adds the reciprocal of its distance in moments, up to `AHEAD`, divided by the items of
    the later moment, so that a large basket counts as much as a small one, times the square root of
    both strengths, if there are any. Items of one moment are not after each other. A pair's weight
    is its count, divided by the sum of the shrinkage and of all counts of the first item.

    Args:
        offsets: (users + 1,): user u owns `items[offsets[u]:offsets[u + 1]]`.
        items: (interactions,) item rows of the training split, oldest first within a user.
        n_items: Size of the corpus.
        shrinkage: The larger, the less a rare pair counts; at least 0.
        kept: Most next items per item.
        seed: Seed of the random order among equal weights.
        strengths: (interactions,) as of `ItemKNN.fit`.
        moments: (interactions,) numbers of the users' moments, not decreasing within a user; by
            default each interaction is one.
    """
    roots = np.ones(len(items), np.float32) if strengths is None else np.sqrt(strengths)
    users = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    begins = np.ones(len(items), bool)
    if moments is not None:
        begins[1:] = (np.diff(users) != 0) | (np.diff(moments) != 0)
    counts = sparse.csr_array((n_items, n_items), dtype=np.float32)
    starts = np.append(np.flatnonzero(begins), len(items))
    bought = sparse.csr_array((roots, items, starts), shape=(len(starts) - 1, n_items))
    for ahead in range(1, AHEAD + 1):
        if begins.all():
            counts = counts + _following(users, items, roots, ahead, n_items)
        else:
            counts = counts + _following_moments(users[starts[:-1]], bought, ahead)
    followed = np.asarray(counts.sum(axis=1)) + shrinkage
    counts.data /= np.repeat(followed, np.diff(counts.indptr)).astype(np.float32)
    chance = np.random.default_rng(seed)
    return _strongest(np.diff(counts.indptr), counts.indices, counts.data, kept, chance)


def _following(
    users: NDArray[np.int64],
    items: NDArray[np.int32],
    roots: NDArray[np.float32],
    ahead: int,
    n_items: int,
) -> Any:
    """(items, items) sparse: pairs at one distance where each interaction is a moment."""
    same = users[:-ahead] == users[ahead:]
    first, then = items[:-ahead][same], items[ahead:][same]
    apart = first != then
    both = (roots[:-ahead] * roots[ahead:])[same][apart]
    counted = (both / np.float32(ahead)).astype(np.float32)
    pairs = (first[apart].astype(np.int64), then[apart].astype(np.int64))
    return sparse.csr_array((counted, pairs), shape=(n_items, n_items))


def _following_moments(users: NDArray[np.int64], bought: Any, ahead: int) -> Any:
    """(items, items) sparse: pairs at one distance in moments, as a product of both moments.

    Args:
        users: (moments,) user rows.
        bought: (moments, items) sparse square roots of strengths, repeats apart.
        ahead: The distance.
    """
    first = np.flatnonzero(users[:-ahead] == users[ahead:])
    sizes = np.diff(bought.indptr)[first + ahead].astype(np.float32)
    shares = sparse.diags_array(1 / (np.float32(ahead) * sizes))
    counts = (bought[first].T @ (shares @ bought[first + ahead])).tocoo()
    apart = counts.row != counts.col
    pairs = (counts.row[apart], counts.col[apart])
    return sparse.csr_array((counts.data[apart].astype(np.float32), pairs), shape=counts.shape)


def _strongest(
    lengths: NDArray[np.integer[Any]],
    rows: NDArray[np.integer[Any]],
    weights: NDArray[np.float32],
    kept: int,
    chance: np.random.Generator,
) -> NeighbourLists:
    """The `kept` largest weights of each item's pairs, ties in random order.

    Args:
        lengths: (items,) number of pairs of each item, which follow each other.
        rows: (pairs,) the other items.
        weights: (pairs,)
        kept: Most pairs of an item.
        chance: Draws a number for each pair, so that row numbers do not decide.
    """
    drawn, ends = chance.random(len(weights)), np.cumsum(lengths)
    least = np.zeros(len(lengths), np.float32)
    for item in np.flatnonzero(lengths > kept).tolist():
        of_item = weights[ends[item] - lengths[item] : ends[item]]
        least[item] = np.partition(of_item, -kept)[-kept]  # sorting all of them takes long
    owners = np.repeat(np.arange(len(lengths)), lengths)
    among = np.flatnonzero(weights >= least[owners])
    order = among[np.lexsort((drawn[among], -weights[among], owners[among]))]
    sizes = np.bincount(owners[among], minlength=len(lengths))
    place = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    head = order[place < kept]
    return NeighbourLists(
        starts=np.cumsum([0, *np.minimum(lengths, kept)], dtype=np.int64),
        rows=rows[head].astype(np.int32),
        weights=weights[head].astype(np.float32),
    )
