"""Gradients of batches that exceed memory, computed chunk by chunk with a second forward pass."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def in_chunks(function: Callable[..., Tensor], *inputs: Tensor, size: int | None) -> Tensor:
    """Apply a function to chunks of its inputs and concatenate the results.

    Stores only the results for the backward pass. Activations are computed again, chunk by chunk
    and with the same random numbers. The gradient equals that of the whole batch (Gao et al.,
    "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", 2021).

    Args:
        function: Takes slices of the inputs along their first axis.
        inputs: Tensors of equal length.
        size: Length of a chunk; None applies the function once, to the whole inputs.
    """
    if size is None or len(inputs[0]) <= size or not torch.is_grad_enabled():
        return function(*inputs)
    chunks = zip(*(torch.split(tensor, size) for tensor in inputs), strict=True)
    results = [checkpoint(function, *chunk, use_reentrant=False) for chunk in chunks]
    return torch.cat(results)
