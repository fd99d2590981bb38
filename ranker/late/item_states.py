"""States of every item below the joined layers: computed once, stored and mapped."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from backbone.batch import pad
from backbone.device import autocast
from backbone.encode_texts import in_batches
from backbone.layers import states_below
from lineage.arrays import read_array
from lineage.stages import ITEM_STATES

COUNTS = "item_states.counts.npy"


@dataclass(frozen=True, kw_only=True)
class ItemStates:
    """A few states of each item, in half precision; each is the mean over a span of its tokens."""

    states: NDArray[np.float16]
    """(items, states, hidden); zero beyond an item's count"""
    counts: NDArray[np.uint8]
    """(items,) number of an item's states: one per token, up to the number of stored states"""

    @classmethod
    def load(cls, folder: Path) -> "ItemStates":
        """Map the files that `write_item_states` wrote."""
        return cls(
            states=read_array(folder / ITEM_STATES),
            counts=read_array(folder / COUNTS),
        )

    def of(self, rows: NDArray[np.int32]) -> tuple[Tensor, Tensor]:
        """States of (…,) item rows.

        Returns:
            (…, states, hidden) float32, and (…, states) bool, false for padding.
        """
        place = np.arange(self.states.shape[1])
        return (
            torch.from_numpy(self.states[rows].astype(np.float32)),
            torch.from_numpy(place < self.counts[rows][..., None]),
        )


def write_item_states(
    folder: Path,
    bert: PreTrainedModel,
    sequences: Sequence[NDArray[np.int32]],
    *,
    joined_layers: int,
    kept: int,
    pad_id: int,
) -> ItemStates:
    """Compute every item's states below the joined layers and write them.

    Args:
        folder: Folder to write to.
        bert: Backbone; its layers below the joined ones must stay as they are.
        sequences: Word pieces of every item, with special tokens.
        joined_layers: Number of top layers in which candidates attend to histories.
        kept: Most states per item.
        pad_id: Id of the padding token.
    """
    lengths = np.array([len(sequence) for sequence in sequences])
    shape = (len(sequences), kept, int(bert.config.hidden_size))
    table = np.lib.format.open_memmap(folder / ITEM_STATES, "w+", dtype=np.float16, shape=shape)
    device = next(bert.parameters()).device

    def read(rows: NDArray[np.int64]) -> Tensor:
        batch = pad([sequences[row] for row in rows], pad_id).to(device)
        with autocast(device):
            below = states_below(bert, batch, trained_layers=joined_layers).float()
        return span_means(below, torch.from_numpy(lengths[rows]).to(device), kept)

    for rows, states in in_batches(read, lengths, "items under the joined layers"):
        table[rows] = states.to(torch.float16).cpu().numpy()
    table.flush()
    np.save(folder / COUNTS, np.minimum(lengths, kept).astype(np.uint8))
    return ItemStates.load(folder)


def span_means(states: Tensor, lengths: Tensor, kept: int) -> Tensor:
    """Means over equal spans of each text; in a text with few tokens every token is a span.

    Args:
        states: (texts, length, hidden) states of the tokens.
        lengths: (texts,) number of tokens.
        kept: Most spans per text.

    Returns:
        (texts, kept, hidden), zero where a text has fewer spans.
    """
    place = torch.arange(states.shape[1], device=states.device)
    spans = torch.minimum(lengths, lengths.new_tensor(kept))[:, None]
    span = place * spans // lengths[:, None]  # (texts, length)
    member = torch.nn.functional.one_hot(span.clamp(max=kept - 1), kept).to(states.dtype)
    member = member * (place < lengths[:, None]).unsqueeze(-1)  # (texts, length, kept)
    total = member.sum(dim=1).clamp(min=1)  # (texts, kept)
    return member.transpose(1, 2) @ states / total.unsqueeze(-1)
