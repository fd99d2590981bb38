"""The user tower over items: one soft token a purchase, every place of a history read at once."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from backbone.packing import PackedBatch


class HistoryTower(nn.Module):
    """Causal BERT over the embeddings of a history's items.

    Item k of a history is one token, so fifty purchases cost fifty tokens, and a new purchase
    needs no text to be read. No token looks ahead, so the state at each place is the embedding of
    the shopper at that time, and one pass trains them all (Kang & McAuley, "SASRec", ICDM 2018).
    """

    def __init__(self, bert: PreTrainedModel, *, dimension: int, dropout: float) -> None:
        """Build it around a backbone.

        Args:
            bert: Encoder; its word embeddings read free text.
            dimension: Length of an embedding.
            dropout: Chance of zeroing an entry of a soft token in training.
        """
        super().__init__()
        self.bert = bert
        hidden = bert.config.hidden_size
        self.into = nn.Linear(dimension, hidden)
        self.out = nn.Linear(hidden, dimension, bias=False)
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.into.weight, std=bert.config.initializer_range)
        nn.init.zeros_(self.into.bias)

    def forward(self, items: Tensor, packed: PackedBatch, cells: Tensor) -> Tensor:
        """Embed shoppers at some places of their histories.

        Args:
            items: (items, dimension) embeddings.
            packed: Histories as positions in `items`; their number fills the rest.
            cells: (shoppers,) int64 cells whose state is wanted, rows laid end to end.

        Returns:
            (shoppers, dimension) float32, unit length.
        """
        padded = torch.cat([items, items.new_zeros(1, items.shape[1])])
        tokens = self.into(padded.to(self.into.weight.dtype))
        states = self.bert(
            inputs_embeds=self.dropout(functional.embedding(packed.ids, tokens)),
            position_ids=packed.positions,
            attention_mask=packed.attention_mask,
        ).last_hidden_state
        places = states.flatten(0, 1)[cells]
        return functional.normalize(self.out(places).float(), dim=-1)
