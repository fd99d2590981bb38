"""Draws texts of one label together, where labelled texts are few."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from backbone.epoch_batches import EpochSampler

TEMPERATURE = 0.1
"""Divides the cosines of texts"""


def contrast(states: Tensor, classes: Tensor) -> Tensor:
    """Mean loss of telling the other texts of a text's class from all others of the batch.

    0 if no two texts have one class. Source: Khosla et al., "Supervised contrastive learning",
    NeurIPS 2020.

    Args:
        states: (texts, hidden) states of any length.
        classes: (texts,) int64 class of each text.
    """
    unit = functional.normalize(states.float(), dim=1)
    oneself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    alike = (classes[:, None] == classes) & ~oneself
    paired = alike.any(dim=1)
    if not paired.any():
        return 0.0 * states.sum()
    logits = (unit @ unit.T / TEMPERATURE).masked_fill(oneself, -torch.inf)
    shares = logits.log_softmax(dim=1).masked_fill(~alike, 0.0)
    return -(shares.sum(dim=1)[paired] / alike.sum(dim=1)[paired]).mean()


class PairedSampler(EpochSampler):
    """Yields the examples of an epoch so that two of one class follow each other.

    A batch of random texts of many classes has hardly two of the same one.
    """

    def __init__(self, classes: NDArray[np.int64], per_epoch: int, seed: int, passes: int) -> None:
        """Sample from the examples of some classes.

        Args:
            classes: (examples,) class of each example; negative without a known one.
            per_epoch: Examples of an epoch.
            seed: Seed of the order.
            passes: Most passes over the examples in one epoch.
        """
        super().__init__(len(classes), per_epoch, seed, passes=passes)
        self._classes = classes.tolist()

    def __iter__(self) -> Iterator[int]:
        waiting: dict[int, int] = {}
        for example in super().__iter__():
            known = self._classes[example]
            if known < 0:
                yield example
            elif waiting.get(known, example) == example:
                if known in waiting:
                    yield example
                waiting[known] = example
            else:
                yield from (waiting.pop(known), example)
        yield from waiting.values()
