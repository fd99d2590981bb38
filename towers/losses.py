"""Losses of the two towers."""

import torch
from torch import Tensor
from torch.nn import functional


def in_batch_softmax(
    users: Tensor,
    items: Tensor,
    *,
    accidental_hits: Tensor,
    log_q: Tensor,
    temperature: Tensor,
) -> Tensor:
    """Sampled softmax over the items of the batch, corrected for how often each turns up there.

    Args:
        users: (batch, dim) user embeddings.
        items: (batch, dim) embeddings of the item that each user chose.
        accidental_hits: (batch, batch) bool, true where column j's item is a positive of user i;
            the diagonal is the target and stays.
        log_q: (batch,) log sampling probability of each item, nats.
        temperature: Divides the dot products.

    Returns:
        Mean cross-entropy over the batch, nats.

    Source: Yi et al., "Sampling-Bias-Corrected Neural Modeling", RecSys 2019.
    """
    logits = users @ items.T / temperature - log_q
    negatives = accidental_hits & ~torch.eye(len(users), dtype=torch.bool, device=users.device)
    return functional.cross_entropy(
        logits.masked_fill(negatives, float("-inf")),
        torch.arange(len(users), device=users.device),
    )
