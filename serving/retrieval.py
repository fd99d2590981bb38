"""The first half of the cascade: history in, shortlist of item rows out."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index.item_index import ItemIndex
from towers.export import UserTower


@dataclass(frozen=True, kw_only=True)
class Recalled:
    """Item rows nearest to an embedding, best first."""

    rows: NDArray[np.int32]
    """(found,)"""
    scores: NDArray[np.float32]
    """(found,) cosines"""


@dataclass(frozen=True, kw_only=True)
class Retriever:
    """User tower and index."""

    user_tower: UserTower
    index: ItemIndex

    @classmethod
    def load(cls, root: Path) -> "Retriever":
        """Load from a dataset's finished stages."""
        return cls(user_tower=UserTower.load(root / "towers"), index=ItemIndex.load(root / "index"))

    def embed(self, history: NDArray[np.int32], watch: dict[str, float]) -> NDArray[np.float32]:
        """Embed a history as (dimension,) of unit length; books `user_tower`, in ms."""
        started = time.perf_counter()
        user = self.user_tower(history)
        watch["user_tower"] = 1e3 * (time.perf_counter() - started)
        return user

    def nearest(
        self, embedding: NDArray[np.float32], excluded: NDArray[np.int32], size: int
    ) -> Recalled:
        """Recall the items nearest to an embedding.

        Args:
            embedding: (dimension,) of unit length.
            excluded: Item rows to leave out.
            size: Items wanted; fewer come back when the index finds fewer.
        """
        left_out = np.unique(excluded)
        k = min(size + len(left_out), len(self.index))
        scores, rows = self.index.search(embedding[None], k)
        kept = np.flatnonzero((rows[0] >= 0) & ~np.isin(rows[0], left_out))[:size]
        return Recalled(rows=rows[0][kept].astype(np.int32), scores=scores[0][kept])
