"""Probabilities on a hierarchy of labels: the product of each level's shares among siblings."""

import numpy as np
from numpy.typing import NDArray

from classifier.targets import Codes

Logits = NDArray[np.float32]


def log_shares(logits: Logits, parents: Codes) -> Logits:
    """(texts, classes): logarithm of each class's share among the children of its parent.

    Without levels above, this is the logarithm of the softmax.

    Args:
        logits: (texts, classes), one text at least.
        parents: (classes,) parent of each class, ascending.
    """
    starts = np.flatnonzero(np.diff(parents, prepend=-1))
    family = np.cumsum(np.diff(parents, prepend=parents[0]) > 0)
    shifted = logits - np.maximum.reduceat(logits, starts, axis=1)[:, family]
    total = np.log(np.add.reduceat(np.exp(shifted), starts, axis=1))
    shares: Logits = shifted - total[:, family]
    return shares
