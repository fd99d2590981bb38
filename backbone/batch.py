"""Inputs of models: batches of tensors that move to a device together, and padded word pieces."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Tensors, nested batches or None, which move to a device together."""

    def to(self, device: torch.device) -> Self:
        """The same batch on a device."""
        parts = {name: part for name, part in vars(self).items() if part is not None}
        return replace(self, **{name: part.to(device) for name, part in parts.items()})


@dataclass(frozen=True, kw_only=True)
class TokenBatch(Batch):
    """Sequences padded to the same length."""

    ids: Tensor
    """(batch, length) int64"""
    mask: Tensor
    """(batch, length) int64: 1 for a token, 0 for padding"""
    segments: Tensor
    """(batch, length) int64: 0, or 1 for the second text of a pair"""


def pad(
    sequences: Sequence[NDArray[np.int32]],
    pad_id: int,
    *,
    first_lengths: Sequence[int] | None = None,
) -> TokenBatch:
    """A batch of sequences, padded to the longest.

    Args:
        sequences: Word-piece ids with their special tokens.
        pad_id: Id of the padding token.
        first_lengths: Length of the first text of each pair; None if there are no pairs.
    """
    lengths = np.array([len(s) for s in sequences])
    columns = np.arange(lengths.max(initial=1))
    mask = columns < lengths[:, None]
    ids = np.full(mask.shape, pad_id, dtype=np.int64)
    ids[mask] = np.concatenate(sequences) if len(sequences) else []
    first = lengths if first_lengths is None else np.asarray(first_lengths)
    return TokenBatch(
        ids=torch.from_numpy(ids),
        mask=torch.from_numpy(mask.astype(np.int64)),
        segments=torch.from_numpy((mask & (columns >= first[:, None])).astype(np.int64)),
    )
