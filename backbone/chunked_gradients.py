"""Batches beyond memory: forward a part at a time, and once more when its gradient is due."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def in_chunks(function: Callable[..., Tensor], *inputs: Tensor, size: int | None) -> Tensor:
    """Apply a function to parts of its inputs and put the results together.

    Only the results are kept for the backward pass; whatever the function held in between is
    computed again, with the same chance, a part at a time. The gradient is that of the whole batch
    (Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", 2021).

    Args:
        function: Takes slices of the inputs along their first axis.
        inputs: Of one length.
        size: Length of a part; None applies the function once, to everything.
    """
    if size is None or len(inputs[0]) <= size or not torch.is_grad_enabled():
        return function(*inputs)
    parts = zip(*(torch.split(tensor, size) for tensor in inputs), strict=True)
    results = [checkpoint(function, *part, use_reentrant=False) for part in parts]
    return torch.cat(results)
