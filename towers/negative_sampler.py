"""Draws the pool of items that a batch is scored against, with inclusion probabilities."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from towers.hard_negatives import HardNegatives


@dataclass(frozen=True, kw_only=True)
class NegativeSampler:
    """Draws one pool per batch, without repeats: its targets, uniform and hard negatives.

    Items without purchases are never in the pool: whether they are wanted is unknown, and towers
    trained on them as negatives would rank every new item low.
    """

    target_share: NDArray[np.float64]
    """(items,): share of the training targets that are this item"""
    bought: NDArray[np.int64]
    """(bought items,): item rows with a purchase, ascending"""
    uniform: int
    """Bought items drawn uniformly; at least their number takes them all"""
    hard: HardNegatives | None = None
    """Mined hard negatives; one is drawn per training example that has any"""

    @property
    def takes_all(self) -> bool:
        """Whether the pool is always all bought items, so that nothing is sampled."""
        return self.uniform >= len(self.bought)

    def __call__(
        self, examples: NDArray[np.int64], targets: NDArray[np.int32], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.float32] | None]:
        """Draw a pool.

        An item is in the pool unless every source missed it: π = 1 - (1 - share of the targets)^n
        × (1 - uniform / bought items) × (1 - share of the hard negatives)^n, for n distinct
        training examples. A repeated example adds nothing to the pool.

        Args:
            examples: (examples,) training examples of the batch; may repeat.
            targets: (examples,) item rows of their targets.
            rng: Random generator.

        Returns:
            Item rows, ascending and distinct, and log π, nats; None if all bought items were taken.
        """
        if self.takes_all:
            return self.bought, None
        distinct = np.unique(examples)
        drawn = rng.choice(self.bought, self.uniform, replace=False)
        hard = np.empty(0, np.int32) if self.hard is None else self.hard.draw(distinct, rng)
        rows = np.unique(np.concatenate([drawn, targets, hard])).astype(np.int64)
        n = len(distinct)
        missed = (1 - self.target_share) ** n * (1 - self.uniform / len(self.bought))
        if self.hard is not None:
            missed = missed * (1 - self.hard.share) ** n
        return rows, np.log1p(-missed[rows]).astype(np.float32)
