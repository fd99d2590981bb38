"""Encodes many texts or histories in full batches with little padding."""

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
"""Histories per packed batch"""


def encode(
    read: Callable[[TokenBatch], Tensor],
    sequences: Sequence[NDArray[np.int32]],
    *,
    pad_id: int,
    device: torch.device,
    description: str,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Encode texts in batches of similar length under a token budget.

    Args:
        read: Encoder of a batch, returns (texts, size).
        sequences: Word-piece ids with their special tokens.
        pad_id: Id of the padding token.
        device: Device of the encoder.
        description: Label of the progress bar.
        dtype: Precision of the matrix products; by default the device's serving precision.

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
    interaction_codes: Sequence[NDArray[np.int32]],
    *,
    length: int,
    searches: Sequence[Tensor | None] = (),
) -> Tensor:
    """Embed shoppers after the last item of each history.

    Args:
        tower: User tower in evaluation mode.
        items: (corpus, dimension) item embeddings.
        histories: Item rows of each shopper, oldest first; empty only where there is a search.
        interaction_codes: One per item of the histories (`dataset.interaction_codes`).
        length: Number of newest items that are encoded.
        searches: (dimension,) embedding of each shopper's search, None without one; empty if nobody
            searched.

    Returns:
        (shoppers, dimension) float32, unit length.
    """
    users, device = [], items.device
    nothing = items.new_empty(0, items.shape[1])
    with torch.no_grad(), autocast(device):
        for start in range(0, len(histories), HISTORIES):
            block = slice(start, start + HISTORIES)
            newest = [history[-length:] for history in histories[block]]
            codes = [context[-length:] for context in interaction_codes[block]]
            known = [vector for vector in searches[block] if vector is not None]
            number = 1 + len(items)
            for place, vector in enumerate(searches[block]):
                if vector is not None:
                    newest[place] = np.append(newest[place], np.int32(number))
                    codes[place] = np.append(codes[place], np.int32(0))
                    number += 1
            width = max(len(sequence) for sequence in newest) if known else length
            packed = pack(newest, codes, width=max(width, length), filler=len(items))
            last = packed.starts + torch.tensor([len(history) - 1 for history in newest])
            table = torch.stack(known) if known else nothing
            users.append(tower(items, packed.to(device), last.to(device), table))
    return torch.cat(users)
