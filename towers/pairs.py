"""Batches of (history, next item) for contrastive training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backbone.batch import TokenBatch, pad
from backbone.tokens import SpecialTokens, TokenTable, history_input, item_input
from dataset.points import TrainingPoints


@dataclass(frozen=True, kw_only=True)
class PairBatch:
    """Histories and what followed each."""

    histories: TokenBatch
    items: TokenBatch
    accidental_hits: Tensor
    """(batch, batch) bool: column j's item is a positive of row i's user."""
    log_q: Tensor
    """(batch,) nats"""

    def to(self, device: torch.device) -> "PairBatch":
        """The same batch on a device."""
        return PairBatch(
            histories=self.histories.to(device),
            items=self.items.to(device),
            accidental_hits=self.accidental_hits.to(device),
            log_q=self.log_q.to(device),
        )


@dataclass(frozen=True, kw_only=True)
class TextInputs:
    """Turns item rows and histories into what the towers read."""

    texts: TokenTable
    """Word pieces of every item's rendered text."""
    titles: TokenTable
    """Word pieces of every item's title."""
    special: SpecialTokens
    history_tokens: int
    """Length of a history's input at most."""

    def item(self, row: int) -> NDArray[np.int32]:
        """Input of the item tower."""
        return item_input(self.texts[row], self.special)

    def history(self, rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """Input of the user tower: the last titles, newest first."""
        return history_input(self.titles, rows, self.special, max_tokens=self.history_tokens)

    def corpus(self) -> list[NDArray[np.int32]]:
        """Input of the item tower for every item."""
        return [self.item(row) for row in range(len(self.texts))]


@dataclass(frozen=True, kw_only=True)
class PairCollator:
    """Puts training points into one batch."""

    points: TrainingPoints
    inputs: TextInputs
    log_q: NDArray[np.float32]
    """(items,) nats"""

    def __call__(self, chosen: Sequence[int]) -> PairBatch:
        """Build the batch of some points, by their position."""
        targets = self.points.targets[np.asarray(chosen)]
        hits = np.stack([np.isin(targets, self.points.positives(p)) for p in chosen])
        pad_id = self.inputs.special.pad
        return PairBatch(
            histories=pad([self.inputs.history(self.points.history(p)) for p in chosen], pad_id),
            items=pad([self.inputs.item(row) for row in targets], pad_id),
            accidental_hits=torch.from_numpy(hits),
            log_q=torch.from_numpy(self.log_q[targets]),
        )
