"""Which items a batch is scored against, and how likely each was to be among them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from towers.hard_negatives import HardNegatives


@dataclass(frozen=True, kw_only=True)
class CandidateSampler:
    """One pool a batch, each item once: its own targets, a uniform sample, and hard negatives."""

    target_share: NDArray[np.float64]
    """(items,): share of the training targets that are this item"""
    uniform: int
    """Items drawn uniformly; as many as the corpus has, or more, takes all of it"""
    hard: HardNegatives | None = None
    """Mined negatives, one a training point that has some"""

    @property
    def takes_all(self) -> bool:
        """Whether the pool is the corpus, so that nothing is left to chance."""
        return self.uniform >= len(self.target_share)

    def __call__(
        self, points: NDArray[np.int64], targets: NDArray[np.int32], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.float32] | None]:
        """Draw a pool.

        An item is in the pool unless every source missed it: π = 1 - (1 - share of the targets)^n
        × (1 - uniform / items) × (1 - share of the hard negatives)^n, for n points.

        Args:
            points: (n,) training points of the batch.
            targets: (n,) their targets' item rows.
            rng: Source of chance.

        Returns:
            Item rows, ascending and distinct, and log π, nats; None where the pool is the corpus.
        """
        items = len(self.target_share)
        if self.takes_all:
            return np.arange(items), None
        drawn = rng.choice(items, self.uniform, replace=False)
        rows = np.union1d(drawn, targets).astype(np.int64)
        missed = (1 - self.target_share) ** len(targets) * (1 - self.uniform / items)
        if self.hard is not None:
            rows = np.union1d(rows, self.hard.draw(points, rng))
            missed = missed * (1 - self.hard.share) ** len(targets)
        return rows, np.log1p(-missed[rows]).astype(np.float32)
