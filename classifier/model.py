"""A backbone with linear heads, in plain torch."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from backbone.kinds import pooling_of
from backbone.layers import token_states
from backbone.text_parts import TextParts


class TextModel(nn.Module):
    """Reads texts to states of length √hidden, and maps these to the outputs of every head."""

    def __init__(self, bert: PreTrainedModel, outputs: Sequence[int], *, dropout: float) -> None:
        """Put heads of zeros on a backbone.

        Args:
            bert: Backbone, with or without adapters.
            outputs: Number of logits of each head.
            dropout: Probability of zeroing a number of a state in training.
        """
        super().__init__()
        hidden = bert.config.hidden_size
        self.bert, self.length = bert, math.sqrt(hidden)
        self.pooled = pooling_of(bert)
        self.heads = nn.ModuleList(nn.Linear(hidden, size) for size in outputs)
        self.dropout = nn.Dropout(dropout)
        for head in self.heads:
            nn.init.zeros_(head.weight)  # type: ignore[arg-type]  # a Linear's
            nn.init.zeros_(head.bias)  # type: ignore[arg-type]  # a Linear's

    def read(self, texts: TextParts) -> Tensor:
        """(texts, hidden): pooled states, of unit length."""
        pooled = [
            self.pooled(token_states(self.bert, part.ids, part.mask, part.segments), part.mask)
            for part in texts.parts
        ]
        states: Tensor = functional.normalize(torch.cat(pooled).float(), dim=-1)
        return states[texts.order]

    def scaled(self, states: Tensor) -> Tensor:
        """(texts, hidden): what the heads read, from states of unit length."""
        read: Tensor = self.dropout(self.length * states)
        return read
