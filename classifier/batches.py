"""Builds batches of texts with their targets."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backbone.augmentation import Augmenter
from backbone.batch import Batch
from backbone.text_parts import TextParts, in_parts
from backbone.tokens import Ids, token_budget_batches
from lineage.processes import Processes

PART_TOKENS = 512
"""Padded tokens of a part of a training batch: few enough to waste little padding, many enough for
fast matrix products"""
VALID_TOKENS = 4_096
"""Padded tokens of a validation batch"""


@dataclass(frozen=True, kw_only=True)
class TextBatch(Batch):
    """Texts, or their states where the backbone is frozen, and their targets."""

    texts: TextParts | None
    states: Tensor | None
    """(texts, hidden) float32 states of unit length"""
    classes: Tensor
    """(texts, outputs) int64 class of each output; negative without a known one"""
    numbers: Tensor
    """(texts, outputs) float32 number of each output, on the learnt scale; NaN without one"""
    weight: Tensor
    """Scalar: weight of the loss among the processes that train together, 1 on average"""


@dataclass(frozen=True, kw_only=True)
class TextSource:
    """Makes batches of some rows."""

    inputs: Sequence[Ids]
    """Word pieces of each row's text, with special tokens."""
    states: Tensor | None
    """(rows, hidden) states of the rows' texts where the backbone is frozen."""
    classes: NDArray[np.int64]
    """(rows, outputs) class of each output; negative without a known one."""
    numbers: NDArray[np.float64]
    """(rows, outputs) number of each output; NaN without one."""
    rows: NDArray[np.int64]
    """Rows of the examples."""
    pad_id: int
    augmenter: Augmenter | None = None
    """Changes the texts of training batches, if any does."""
    seed: int = 0
    """Seed of these changes."""
    readings: int = 1
    """Times that each text is in a training batch; all texts come before their next readings."""
    processes: Processes = Processes()

    def __call__(self, examples: Sequence[int]) -> TextBatch:
        """This process's share of a batch of examples."""
        owned = self.processes.owns(len(examples))
        rows = self.rows[np.asarray(examples)[owned]]
        weight = self.processes.weight(len(rows), len(examples))
        rows = np.tile(rows, self.readings)
        inputs = [self.inputs[row] for row in rows]
        if self.augmenter is not None:
            rng = np.random.default_rng([self.seed, *examples[:8]])
            inputs = self.augmenter(rows.tolist(), rng)
        return self._batch(rows, inputs, PART_TOKENS, weight)

    def in_order(self) -> Iterator[TextBatch]:
        """Batches of all examples, longest texts first."""
        lengths = np.array([len(self.inputs[row]) for row in self.rows])
        for places in token_budget_batches(lengths, VALID_TOKENS):
            rows = self.rows[places]
            yield self._batch(rows, [self.inputs[row] for row in rows], VALID_TOKENS, 1.0)

    def _batch(
        self, rows: NDArray[np.int64], inputs: Sequence[Ids], tokens: int, weight: float
    ) -> TextBatch:
        frozen = self.states
        return TextBatch(
            texts=in_parts(inputs, tokens, self.pad_id) if frozen is None else None,
            states=None if frozen is None else frozen[rows],
            classes=torch.from_numpy(self.classes[rows]),
            numbers=torch.from_numpy(self.numbers[rows].astype(np.float32)),
            weight=torch.tensor(weight),
        )
