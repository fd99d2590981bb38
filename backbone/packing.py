"""Many short sequences side by side in rows of one width, so that hardly a cell is padding."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backbone.batch import Batch

STEP = 8
"""Widths of histories are multiples of it, or the widest: for every new shape oneDNN writes code,
which takes some 4 ms in the user tower and 8 in the ranker."""


@dataclass(frozen=True, kw_only=True)
class PackedBatch(Batch):
    """Sequences in rows; a token sees itself and what is before it in its own sequence."""

    ids: Tensor
    """(rows, width) int64: what stands in each cell; the filler where nothing does"""
    contexts: Tensor
    """(rows, width) int64: what else is known of each cell; 0 where nothing is"""
    positions: Tensor
    """(rows, width) int64: from 0 within each sequence"""
    owners: Tensor
    """(rows, width) int64: sequence of each cell, -1 where there is none"""
    starts: Tensor
    """(sequences,) int64: cell of each sequence's first token, rows laid end to end"""


def padded_width(length: int, most: int) -> int:
    """Cells that a sequence is padded to, of few widths that there are.

    Args:
        length: Cells that are needed, `most` at most.
        most: Cells of the widest.
    """
    return min(STEP * -(-max(length, 1) // STEP), most)


def causal_mask(owners: Tensor) -> Tensor:
    """(rows, 1, width, width) bool: whether the cell of the third axis may look at the fourth's.

    Args:
        owners: (rows, width) sequence of each cell.
    """
    width = owners.shape[1]
    earlier = torch.ones(width, width, dtype=torch.bool, device=owners.device).tril()
    same = owners[:, :, None] == owners[:, None, :]
    return (same & earlier).unsqueeze(1)


def pack(
    sequences: Sequence[NDArray[np.int32]],
    contexts: Sequence[NDArray[np.int32]] | None = None,
    *,
    width: int,
    filler: int,
) -> PackedBatch:
    """Lay sequences into as few rows as best fit by falling length finds.

    Args:
        sequences: Ids; none empty, none longer than a row.
        contexts: What else is known of each id, as long as the sequences; None where nothing is.
        width: Cells a row.
        filler: Id of a cell that stays empty.

    Raises:
        ValueError: a sequence is empty or longer than a row.
    """
    lengths = np.array([len(s) for s in sequences])
    if not len(lengths) or lengths.min() < 1 or lengths.max() > width:
        raise ValueError(
            f"sequences must have 1 to {width} ids each, got {len(lengths)} of "
            f"{lengths.min(initial=0)} to {lengths.max(initial=0)}"
        )
    rows, columns, height = _best_fit(lengths, width)
    owners = np.repeat(np.arange(len(lengths)), lengths)
    positions = np.arange(len(owners)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    starts = rows * width + columns
    cells = starts[owners] + positions

    def grid(values: NDArray[np.integer], empty: int) -> Tensor:
        laid = np.full(height * width, empty, np.int64)
        laid[cells] = values
        return torch.from_numpy(laid.reshape(height, width))

    return PackedBatch(
        ids=grid(np.concatenate(sequences), filler),
        contexts=grid(np.concatenate(contexts) if contexts else np.zeros_like(owners), 0),
        positions=grid(positions, 0),
        owners=grid(owners, -1),
        starts=torch.from_numpy(starts),
    )


def _best_fit(
    lengths: NDArray[np.int64], width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Row and first column of each sequence, and the number of rows."""
    rows, columns = np.empty_like(lengths), np.empty_like(lengths)
    room: list[tuple[int, int]] = []  # (cells left, row), sorted
    height = 0
    for sequence in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[sequence])
        fit = bisect_left(room, (length, -1))
        if fit < len(room):
            left, row = room.pop(fit)
        else:
            left, row, height = width, height, height + 1
        rows[sequence], columns[sequence] = row, width - left
        if left > length:
            insort(room, (left - length, row))
    return rows, columns, height
