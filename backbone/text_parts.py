"""A batch of texts in parts of similar length, so that little of it is padding."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from backbone.batch import Batch, TokenBatch, pad
from backbone.tokens import Ids, token_budget_batches


@dataclass(frozen=True, kw_only=True)
class TextParts(Batch):
    """Texts in parts of similar length, each padded to its own longest text."""

    parts: tuple[TokenBatch, ...]
    order: Tensor
    """(texts,) int64: place of each text among the texts of all parts"""

    def to(self, device: torch.device) -> Self:
        """The same texts on a device."""
        parts = tuple(part.to(device) for part in self.parts)
        return replace(self, parts=parts, order=self.order.to(device))


def in_parts(inputs: Sequence[Ids], tokens: int, pad_id: int) -> TextParts:
    """Texts in parts of similar length.

    A random batch padded to its longest text is mostly padding; in parts, little of it is.

    Args:
        inputs: Word pieces of each text, with special tokens.
        tokens: Most padded tokens of a part.
        pad_id: Id of the padding token.
    """
    lengths = np.array([len(one) for one in inputs])
    rows = list(token_budget_batches(lengths, tokens))
    return TextParts(
        parts=tuple(pad([inputs[row] for row in part], pad_id) for part in rows),
        order=torch.from_numpy(np.argsort(np.concatenate(rows))),
    )
