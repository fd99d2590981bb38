"""Embeds many texts or histories: full batches, hardly any padding, a progress bar."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backbone.batch import TokenBatch, pad
from backbone.device import autocast
from backbone.encode_texts import in_batches, in_order
from backbone.packing import pack
from towers.history_tower import HistoryTower

HISTORIES = 1_024
"""Histories packed at once"""


def encode(
    read: Callable[[TokenBatch], Tensor],
    sequences: Sequence[NDArray[np.int32]],
    *,
    pad_id: int,
    device: torch.device,
    description: str,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Read texts in batches of similar length under a token budget.

    Args:
        read: What makes (texts, size) of a batch.
        sequences: Word-piece ids with their special tokens.
        pad_id: Id of the padding token.
        device: Where `read` works.
        description: Label of the progress bar.
        dtype: Precision of the matrix products; by default the one that serves best.

    Returns:
        (texts, size) float32 on the device, in the order of `sequences`.
    """

    def batch(rows: NDArray[np.int64]) -> Tensor:
        return read(pad([sequences[row] for row in rows], pad_id).to(device)).float()

    lengths = np.array([len(s) for s in sequences])
    with autocast(device, dtype):
        return in_order(in_batches(batch, lengths, description))


def embed_histories(
    tower: HistoryTower,
    items: Tensor,
    histories: Sequence[NDArray[np.int32]],
    contexts: Sequence[NDArray[np.int32]],
    *,
    length: int,
) -> Tensor:
    """Embed shoppers after the last item of each history.

    Args:
        tower: In evaluation mode.
        items: (corpus, dimension) embeddings.
        histories: Item rows of each shopper, oldest first, none empty.
        contexts: When and how, as codes of `dataset.interaction_codes`, as long as the histories.
        length: Newest items of a history that are read.

    Returns:
        (shoppers, dimension) float32, unit length.
    """
    users, device = [], items.device
    nothing = items.new_empty(0, items.shape[1])
    with torch.no_grad(), autocast(device):
        for start in range(0, len(histories), HISTORIES):
            some = slice(start, start + HISTORIES)
            newest = [history[-length:] for history in histories[some]]
            known = [codes[-length:] for codes in contexts[some]]
            packed = pack(newest, known, width=length, filler=len(items))
            last = packed.starts + torch.tensor([len(history) - 1 for history in newest])
            users.append(tower(items, packed.to(device), last.to(device), nothing))
    return torch.cat(users)
