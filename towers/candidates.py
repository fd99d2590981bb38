"""Which items a batch is scored against, and how likely each was to be among them."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import distributed

from towers.hard_negatives import HardNegatives

T = TypeVar("T")


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
        """Draw a pool; processes that train together share theirs.

        An item is in the pool unless every source missed it: π = 1 - (1 - share of the targets)^n
        × (1 - uniform / items)^p × (1 - share of the hard negatives)^n, for n points in p
        processes.

        Args:
            points: (points,) training points of this process's batch.
            targets: (points,) their targets' item rows.
            rng: Source of chance.

        Returns:
            Item rows, ascending and distinct, and log π, nats; None where the pool is the corpus.
        """
        items = len(self.target_share)
        if self.takes_all:
            return np.arange(items), None
        drawn = rng.choice(items, self.uniform, replace=False)
        hard = np.empty(0, np.int32) if self.hard is None else self.hard.draw(points, rng)
        pools = gathered(np.concatenate([drawn, targets, hard]))
        rows = np.unique(np.concatenate(pools)).astype(np.int64)
        n = sum(gathered(len(targets)))
        missed = (1 - self.target_share) ** n * (1 - self.uniform / items) ** len(pools)
        if self.hard is not None:
            missed = missed * (1 - self.hard.share) ** n
        return rows, np.log1p(-missed[rows]).astype(np.float32)


def gathered(value: T) -> list[T]:
    """The value of every process that trains together, in their order; of this one where alone."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return [value]
    values: list[T] = [value] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values
