"""Texts with the states that a teacher gives them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backbone.batch import Batch
from backbone.text_parts import TextParts, in_parts
from backbone.tokens import Ids
from pretraining.model import TextReader

PART_TOKENS = 2_048
"""Padded tokens of a part of a batch"""


@dataclass(frozen=True, kw_only=True)
class TaughtBatch(Batch):
    """Texts, and what a student should read them to."""

    texts: TextParts
    states: Tensor
    """(texts, hidden) float32: pooled states of the teacher, of unit length"""


@dataclass(frozen=True, kw_only=True)
class TaughtTexts:
    """Collates texts and their teacher's states."""

    inputs: Sequence[Ids]
    """Word pieces of every text, with special tokens"""
    states: NDArray[np.float32]
    """(texts, hidden) pooled states of the teacher, of unit length"""
    rows: NDArray[np.int64]
    """Texts that are read, by their number"""
    pad_id: int

    def __call__(self, chosen: Sequence[int]) -> TaughtBatch:
        """Build the batch of some of `rows`, by their position."""
        rows = self.rows[chosen]
        return TaughtBatch(
            texts=in_parts([self.inputs[row] for row in rows], PART_TOKENS, self.pad_id),
            states=torch.from_numpy(self.states[rows]),
        )


@dataclass(frozen=True, kw_only=True)
class StateCheck:
    """Mean cosine of the student's and the teacher's states of held-out texts."""

    texts: TaughtTexts
    name: str = "valid/cosine"

    def __call__(self, model: TextReader, device: torch.device) -> float:
        """The figure."""
        batch = self.texts(range(len(self.texts.rows))).to(device)
        return float((model.read(batch.texts) * batch.states).sum(dim=1).mean())
