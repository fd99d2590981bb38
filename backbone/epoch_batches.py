"""Batches of an epoch: every example once before any repeats, shared by several processes."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import BatchSampler, Sampler

from lineage.processes import Processes


class EpochSampler(Sampler[int]):
    """Yields a part of the examples per epoch, and every example once before any repeats.

    Each pass over the examples has a new order. An epoch's examples depend only on its number.
    """

    def __init__(self, examples: int, per_epoch: int, seed: int, *, passes: int = 1) -> None:
        """Sample from a number of examples.

        Args:
            examples: Number of examples.
            per_epoch: Examples of an epoch.
            seed: Seed of the order.
            passes: Most passes over the examples in one epoch.
        """
        self._examples, self._seed = examples, seed
        self._size = min(per_epoch, passes * examples)
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Select the examples of an epoch; Lightning calls this before every epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[int]:
        places = self._epoch * self._size + np.arange(self._size)
        for round_ in np.unique(places // self._examples).tolist():
            order = np.random.default_rng([self._seed, round_]).permutation(self._examples)
            yield from order[places[places // self._examples == round_] % self._examples].tolist()


class EpochBatches(BatchSampler):
    """Yields batches of about equal total size; every example of the epoch is in one of them.

    Processes that train together yield the same batches, of `batch_size` for each process, and
    each process takes its share of every batch.
    """

    def __init__(
        self,
        sampler: EpochSampler,
        batch_size: int,
        sizes: NDArray[np.int64],
        processes: Processes = Processes(),
    ) -> None:
        """Cut the examples of a sampler into batches.

        Args:
            sampler: Yields the examples in order.
            batch_size: Mean total size of one process's share of a batch.
            sizes: (examples,) size of each example.
            processes: The processes that train together.

        Raises:
            ValueError: an epoch has fewer examples than there are processes.
        """
        if len(sampler) < processes.number:
            raise ValueError(
                f"training.devices must be at most the {len(sampler)} examples of an epoch, got "
                f"{processes.number}"
            )
        super().__init__(sampler, batch_size, drop_last=False)
        self._sizes, self._processes = sizes, processes.number

    def __len__(self) -> int:
        examples = len(self.sampler)  # type: ignore[arg-type]  # an `EpochSampler` has a length
        expected = examples * float(self._sizes.mean()) / (self.batch_size * self._processes)
        return max(1, min(round(expected), examples // self._processes))

    def __iter__(self) -> Iterator[list[int]]:
        order = np.fromiter(self.sampler, np.int64)
        total = np.cumsum(self._sizes[order])
        cuts = np.searchsorted(total, total[-1] * np.arange(1, len(self)) / len(self))
        # each process needs an example: too small a batch joins the next one
        starts = [0]
        for cut in cuts.tolist():
            if min(cut - starts[-1], len(order) - cut) >= self._processes:
                starts.append(cut)
        for batch in np.split(order, starts[1:]):
            yield batch.tolist()
