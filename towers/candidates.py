"""Which items a batch is scored against, and how likely each was to be among them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class CandidateSampler:
    """One pool a batch: the batch's own targets and a uniform sample, each item once."""

    target_share: NDArray[np.float64]
    """(items,): share of the training targets that are this item"""
    uniform: int
    """Items drawn uniformly; as many as the corpus has, or more, takes all of it"""

    @property
    def takes_all(self) -> bool:
        """Whether the pool is the corpus, so that nothing is left to chance."""
        return self.uniform >= len(self.target_share)

    def __call__(
        self, targets: NDArray[np.int32], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.float32] | None]:
        """Draw a pool.

        An item is in the pool unless every source missed it: π = 1 - (1 - share)^targets ×
        (1 - uniform / items).

        Args:
            targets: (choices,) item rows of the batch.
            rng: Source of chance.

        Returns:
            Item rows, ascending and distinct, and log π, nats; None where the pool is the corpus.
        """
        items = len(self.target_share)
        if self.takes_all:
            return np.arange(items), None
        drawn = rng.choice(items, self.uniform, replace=False)
        rows = np.union1d(drawn, targets).astype(np.int64)
        missed = (1 - self.target_share[rows]) ** len(targets) * (1 - self.uniform / items)
        return rows, np.log1p(-missed).astype(np.float32)
