"""Losses of the ranker."""

from torch import Tensor


def listwise_softmax(logits: Tensor, gains: Tensor) -> Tensor:
    """Cross-entropy of picking the bought candidates out of their list, by their relevance.

    Args:
        logits: (lists, candidates); -inf for padding.
        gains: (lists, candidates) relevance of the bought ones, at least one; 0 for others.

    Returns:
        Mean over the lists, nats.

    Source: ListNet, Cao et al., ICML 2007.
    """
    log_probabilities = logits.log_softmax(dim=-1).masked_fill(gains == 0, 0.0)
    return -((gains * log_probabilities).sum(dim=-1) / gains.sum(dim=-1)).mean()
