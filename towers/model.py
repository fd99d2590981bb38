"""The two encoders; plain torch."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from backbone.batch import TokenBatch
from backbone.load import freeze_below, load_bert


class Tower(nn.Module):
    """BERT, mean over the tokens, projection, unit length. Knows nothing of users and items."""

    def __init__(self, bert: PreTrainedModel, dimension: int) -> None:
        super().__init__()
        self.bert = bert
        self.projection = nn.Linear(bert.config.hidden_size, dimension, bias=False)
        nn.init.orthogonal_(self.projection.weight)
        if dimension == bert.config.hidden_size:
            nn.init.eye_(self.projection.weight)  # starts as the pretrained embedding itself

    def forward(self, batch: TokenBatch) -> Tensor:
        """Embed a batch of texts.

        Returns:
            (batch, dimension) float32, unit length.
        """
        states = self.bert(
            input_ids=batch.ids, attention_mask=batch.mask, token_type_ids=batch.segments
        ).last_hidden_state  # (batch, length, hidden)
        weights = batch.mask.unsqueeze(-1).to(states.dtype)
        mean = (states * weights).sum(1) / weights.sum(1).clamp(min=1)
        return functional.normalize(self.projection(mean).float(), dim=-1)


class TwoTower(nn.Module):
    """A user tower, an item tower, and the temperature of their dot products."""

    def __init__(self, user_tower: Tower, item_tower: Tower, temperature: float) -> None:
        super().__init__()
        self.user_tower, self.item_tower = user_tower, item_tower
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))

    @property
    def temperature(self) -> Tensor:
        """Divides logits; learned, kept within 0.01 and 1."""
        return self.log_temperature.exp().clamp(0.01, 1.0)


def build_two_tower(
    backbone: str, *, dimension: int, temperature: float, trained_layers: int, dropout: float
) -> TwoTower:
    """Two towers that start from the same pretrained weights and share none."""

    def tower() -> Tower:
        bert = load_bert(backbone, dropout=dropout)
        freeze_below(bert, trained_layers)
        return Tower(bert, dimension)

    return TwoTower(tower(), tower(), temperature)
