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


def soft_cross_entropy(logits: Tensor, opinions: Tensor) -> Tensor:
    """Cross-entropy to what a teacher thinks of every candidate of a list.

    Args:
        logits: (lists, candidates); -inf where there is none.
        opinions: (lists, candidates) logits of the teacher; -inf where there is none.

    Returns:
        Mean over the lists, nats.

    Source: knowledge distillation, Hinton et al., 2015; of lists, Reddi et al., AISTATS 2021.
    """
    chances = logits.log_softmax(dim=-1).masked_fill(logits.isneginf(), 0.0)
    return -(opinions.softmax(dim=-1) * chances).sum(dim=-1).mean()
