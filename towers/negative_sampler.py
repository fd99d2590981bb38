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
    """One pool a batch, each item once: its own targets, a uniform sample, and hard negatives.

    An item that nobody has bought yet is never in it: of such an item nobody knows whether it is
    wanted, and towers that are taught it is not would keep every new item down.
    """

    target_share: NDArray[np.float64]
    """(items,): share of the training targets that are this item"""
    bought: NDArray[np.int64]
    """(bought items,): rows of the items that have a purchase, ascending"""
    uniform: int
    """Bought items drawn uniformly; as many as there are, or more, takes them all"""
    hard: HardNegatives | None = None
    """Mined negatives, one a training point that has some"""

    @property
    def takes_all(self) -> bool:
        """Whether the pool is all that was ever bought, so that nothing is left to chance."""
        return self.uniform >= len(self.bought)

    def __call__(
        self, points: NDArray[np.int64], targets: NDArray[np.int32], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.float32] | None]:
        """Draw a pool; processes that train together share theirs.

        An item is in the pool unless every source missed it: π = 1 - (1 - share of the targets)^n
        × (1 - uniform / bought items)^p × (1 - share of the hard negatives)^n, for n points in p
        processes.

        Args:
            points: (points,) training points of this process's batch.
            targets: (points,) their targets' item rows.
            rng: Source of chance.

        Returns:
            Item rows, ascending and distinct, and log π, nats; None where all were taken.
        """
        if self.takes_all:
            return self.bought, None
        drawn = rng.choice(self.bought, self.uniform, replace=False)
        hard = np.empty(0, np.int32) if self.hard is None else self.hard.draw(points, rng)
        pools = gathered(np.concatenate([drawn, targets, hard]))
        rows = np.unique(np.concatenate(pools)).astype(np.int64)
        n = sum(gathered(len(targets)))
        missed = (1 - self.target_share) ** n * (1 - self.uniform / len(self.bought)) ** len(pools)
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
