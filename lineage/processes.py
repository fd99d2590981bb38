"""The processes that train together: this one's place among them, and its share of the work."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TORCHRUN = "TORCHELASTIC_RUN_ID"
"""Environment variable that `torchrun` sets for its processes."""


@dataclass(frozen=True)
class Processes:
    """How many processes train together, and which of them this is.

    All draw the same batches, so that they agree without a message; each computes its share.
    """

    rank: int = 0
    """Number of this process, from 0; the first one alone writes files"""
    number: int = 1
    on_this_host: int = 1
    """Number of the processes that run on this host"""

    @classmethod
    def training(cls, devices: int) -> "Processes":
        """The processes of a training on `devices` devices.

        `torchrun` started all of them; otherwise the first one starts the others when it trains.

        Raises:
            ValueError: `torchrun` started another number of processes.
        """
        if TORCHRUN not in os.environ:
            return cls(rank_in(os.environ), devices, devices)
        started = int(os.environ["WORLD_SIZE"])
        if started != devices:
            raise ValueError(
                f"training.devices must be {started}, the processes that torchrun started, "
                f"got {devices}"
            )
        return cls(rank_in(os.environ), started, int(os.environ["LOCAL_WORLD_SIZE"]))

    @property
    def hosts(self) -> int:
        """Number of hosts."""
        return self.number // self.on_this_host

    def owns(self, members: int) -> NDArray[np.bool_]:
        """(members,): which members of a batch this process computes."""
        owned: NDArray[np.bool_] = np.arange(members) % self.number == self.rank
        return owned

    def weight(self, own: int, members: int) -> float:
        """Factor of this process's mean loss; the mean over all processes is the batch's mean.

        Args:
            own: Members of the batch in this process's share.
            members: Members of the batch.
        """
        return own * self.number / members


def rank_in(environment: Mapping[str, str]) -> int:
    """Number of this process among those that train together; 0 if it is alone.

    `torchrun` sets RANK; Lightning sets LOCAL_RANK for the processes that it starts.
    """
    return int(environment.get("RANK", environment.get("LOCAL_RANK", "0")))


def writes() -> bool:
    """Whether this process writes files: of processes that train together, the first one does."""
    return rank_in(os.environ) == 0
