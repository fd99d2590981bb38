"""Item-kNN as a recall source: what was taken by the same users, looked up instead of searched."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.baselines import ItemKNN

PARTS = ("starts", "rows", "weights")


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """For every item the items that share most users with it, as memory-mapped arrays."""

    starts: NDArray[np.int64]
    """(items + 1,): item i owns `[starts[i], starts[i + 1])` of the two arrays below."""
    rows: NDArray[np.int32]
    """(pairs,): neighbours, the nearest first"""
    weights: NDArray[np.float32]
    """(pairs,): shrunk cosine of the items' users, above 0, at most 1"""

    def __len__(self) -> int:
        return len(self.starts) - 1

    def scores(
        self, history: NDArray[np.int32], *, decay: float
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Sum over a history of decay^age × weight; the last item has age 0.

        Args:
            history: Item rows, oldest first.
            decay: Weight of an item relative to the next younger one.

        Returns:
            The item rows that have a score, ascending and distinct, and their scores, above 0.
        """
        newest_first = history[::-1]
        spans = [slice(self.starts[row], self.starts[row + 1]) for row in newest_first.tolist()]
        if not spans:
            return np.empty(0, np.int32), np.empty(0, np.float32)
        ages = np.repeat(np.arange(len(spans)), [span.stop - span.start for span in spans])
        weights = np.concatenate([self.weights[span] for span in spans])
        rows, position = np.unique(
            np.concatenate([self.rows[span] for span in spans]), return_inverse=True
        )
        weights = (weights * np.float64(decay) ** ages).astype(np.float32)
        return rows, np.bincount(position, weights, len(rows)).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write `neighbours.<part>.npy`."""
        for part in PARTS:
            np.save(folder / f"neighbours.{part}.npy", getattr(self, part))

    @classmethod
    def load(cls, folder: Path) -> "Neighbours":
        """Map what `save` wrote."""
        return cls(
            **{part: np.load(folder / f"neighbours.{part}.npy", mmap_mode="r") for part in PARTS}
        )


def nearest_neighbours(
    offsets: NDArray[np.int64],
    items: NDArray[np.int32],
    n_items: int,
    *,
    shrinkage: float,
    kept: int,
    seed: int = 0,
) -> Neighbours:
    """Count which items share users and keep the strongest pairs of each.

    Args:
        offsets: (users + 1,): user u owns `items[offsets[u]:offsets[u + 1]]`.
        items: (interactions,) item rows of the training split; repeats count once.
        n_items: Size of the corpus.
        shrinkage: The larger, the less a rare pair counts; at least 0.
        kept: Neighbours an item at most.
        seed: Of the order among equal weights; it owes nothing to the rows.

    Raises:
        ValueError: shrinkage is negative or kept below 1.
    """
    if kept < 1:
        raise ValueError(f"kept must be at least 1, got {kept}")
    similarity = ItemKNN.fit(offsets, items, n_items, shrinkage).similarity
    chance = np.random.default_rng(seed).random(similarity.nnz)
    owners = np.repeat(np.arange(n_items), np.diff(similarity.indptr))
    order = np.lexsort((chance, -similarity.data, owners))
    place = np.arange(len(order)) - np.repeat(similarity.indptr[:-1], np.diff(similarity.indptr))
    head = order[place < kept]
    lengths = np.minimum(np.diff(similarity.indptr), kept)
    return Neighbours(
        starts=np.cumsum([0, *lengths], dtype=np.int64),
        rows=similarity.indices[head].astype(np.int32),
        weights=similarity.data[head],
    )
