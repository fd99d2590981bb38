"""Losses of the ranker."""

from torch import Tensor


def listwise_softmax(logits: Tensor, bought: Tensor) -> Tensor:
    """Cross-entropy of picking what was bought out of its list.

    Args:
        logits: (lists, candidates); -inf where there is none.
        bought: (lists, candidates) bool, at least one a list: each counts alike.

    Returns:
        Mean over the lists, nats.

    Source: ListNet with equal relevance, Cao et al., ICML 2007.
    """
    chances = logits.log_softmax(dim=-1).masked_fill(~bought, 0.0)
    return -(chances.sum(dim=-1) / bought.sum(dim=-1)).mean()
