"""Moving averages of weights (Polyak & Juditsky, SIAM J. Control Optim. 1992)."""

import torch
from torch import nn


@torch.no_grad()
def move_average(average: nn.Module, learnt: nn.Module, *, averaging: float, step: int) -> None:
    """Move averaged weights towards those that a step has learnt; weights that are frozen stay.

    Args:
        average: Module with the averaged weights, changed in place.
        learnt: Module of the same architecture.
        averaging: Decay of the average. It starts lower, so that early steps are forgotten.
        step: Number of steps so far.
    """
    decay = min(averaging, (1 + step) / (10 + step))
    pairs = zip(average.parameters(), learnt.parameters(), strict=True)
    trained = [(averaged, weights) for averaged, weights in pairs if weights.requires_grad]
    averages, weights = zip(*trained, strict=True)
    torch._foreach_lerp_(averages, weights, 1 - decay)
