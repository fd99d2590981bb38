"""Losses of the ranker."""

from torch import Tensor
from torch.nn import functional


def listwise_softmax(logits: Tensor) -> Tensor:
    """Cross-entropy of picking the target out of its list.

    Args:
        logits: (lists, 1 + negatives); column 0 is the target, -inf where there is no negative.

    Returns:
        Mean over the lists, nats.

    Source: ListNet with one relevant item, Cao et al., ICML 2007.
    """
    return functional.cross_entropy(logits, logits.new_zeros(len(logits)).long())
