"""Reads many texts in batches of similar length under a token budget, with a progress bar."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from backbone.tokens import token_budget_batches

TOKEN_BUDGET = 4_096
"""Padded tokens a batch: activations of that many stay in the cache of a CPU."""

SHOWN = 1_000
"""Texts from which on there is a progress bar."""


def in_batches(
    read: Callable[[NDArray[np.int64]], Tensor], lengths: NDArray[np.int64], description: str
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Rows of similar length under a token budget, and what is read of them.

    Args:
        read: What makes (texts, …) of (texts,) rows.
        lengths: (texts,) tokens of each text.
        description: Label of the progress bar.
    """
    few = len(lengths) < SHOWN
    with tqdm(total=len(lengths), desc=description, unit="text", leave=False, disable=few) as bar:
        for rows in token_budget_batches(lengths, TOKEN_BUDGET):
            with torch.no_grad():
                states = read(rows)
            yield rows, states
            bar.update(len(rows))


def in_order(batches: Iterable[tuple[NDArray[np.int64], Tensor]]) -> Tensor:
    """(texts, size): batches put back into the order of their rows."""
    order, vectors = zip(*batches, strict=True)
    place = torch.from_numpy(np.argsort(np.concatenate(order))).to(vectors[0].device)
    return torch.cat(vectors)[place]
