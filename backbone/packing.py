"""Packs many short sequences into rows of one width, with little padding."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backbone.batch import Batch

STEP = 8
"""Widths of histories are multiples of this, or the largest width. oneDNN compiles code for every
new shape, which takes some 4 ms in the user tower and 8 ms in the ranker."""


@dataclass(frozen=True, kw_only=True)
class PackedBatch(Batch):
    """Sequences in rows; a token attends to itself and to earlier tokens of its own sequence."""

    ids: Tensor
    """(rows, width) int64: id in each cell; the filler in an empty cell"""
    interaction_codes: Tensor
    """(rows, width) int64: interaction code of each cell; 0 if unknown or empty"""
    positions: Tensor
    """(rows, width) int64: position within the sequence, from 0"""
    owners: Tensor
    """(rows, width) int64: sequence of each cell, -1 for an empty cell"""
    starts: Tensor
    """(sequences,) int64: cell of each sequence's first token, as a position in flattened rows"""


def padded_width(length: int, most: int) -> int:
    """Width to which a sequence is padded; there are only few widths.

    Args:
        length: Cells that the sequence needs, at most `most`.
        most: Largest width.
    """
    return min(STEP * -(-max(length, 1) // STEP), most)


def causal_mask(owners: Tensor) -> Tensor:
    """(rows, 1, width, width) bool: whether a cell (third axis) attends to another (fourth axis).

    Args:
        owners: (rows, width) sequence of each cell.
    """
    width = owners.shape[1]
    earlier = torch.ones(width, width, dtype=torch.bool, device=owners.device).tril()
    same = owners[:, :, None] == owners[:, None, :]
    return (same & earlier).unsqueeze(1)


def pack(
    sequences: Sequence[NDArray[np.int32]],
    interaction_codes: Sequence[NDArray[np.int32]] | None = None,
    *,
    width: int,
    filler: int,
) -> PackedBatch:
    """Pack sequences into few rows by best fit in order of falling length.

    Args:
        sequences: Ids of each sequence; none empty, none longer than a row.
        interaction_codes: Interaction codes, one per id; None if all are unknown.
        width: Cells per row.
        filler: Id of an empty cell.

    Raises:
        ValueError: there is no sequence, or one is empty or longer than a row.
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
        flat = np.full(height * width, empty, np.int64)
        flat[cells] = values
        return torch.from_numpy(flat.reshape(height, width))

    return PackedBatch(
        ids=grid(np.concatenate(sequences), filler),
        interaction_codes=grid(
            np.concatenate(interaction_codes) if interaction_codes else np.zeros_like(owners), 0
        ),
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
