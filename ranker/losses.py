"""Losses of the ranker."""

from torch import Tensor


def listwise_softmax(logits: Tensor, bought: Tensor) -> Tensor:
    """Cross-entropy of picking the bought candidates out of their list.

    Args:
        logits: (lists, candidates); -inf for padding.
        bought: (lists, candidates) bool; at least one per list, all of equal weight.

    Returns:
        Mean over the lists, nats.

    Source: ListNet with equal relevance, Cao et al., ICML 2007.
    """
    log_probabilities = logits.log_softmax(dim=-1).masked_fill(~bought, 0.0)
    return -(log_probabilities.sum(dim=-1) / bought.sum(dim=-1)).mean()
