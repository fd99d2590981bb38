"""The user tower over items: one soft token a purchase, every place of a history read at once."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from backbone.packing import PackedBatch


class HistoryTower(nn.Module):
    """Causal BERT over the embeddings of a history's items.

    Item k of a history is one token, so fifty purchases cost fifty tokens, and a new purchase
    needs no text to be read. What a shopper searches for stands before the history as word
    pieces. No token looks ahead, so the state at each place is the embedding of
    the shopper at that time, and one pass trains them all (Kang & McAuley, "SASRec", ICDM 2018).
    """

    def __init__(self, bert: PreTrainedModel, *, dimension: int, dropout: float) -> None:
        """Build it around a backbone.

        Args:
            bert: Encoder; its word embeddings, which stay as they are, read free text.
            dimension: Length of an embedding.
            dropout: Chance of zeroing an entry of a soft token in training.
        """
        super().__init__()
        self.bert = bert
        bert.get_input_embeddings().requires_grad_(requires_grad=False)
        hidden = bert.config.hidden_size
        self.into = nn.Linear(dimension, hidden)
        self.out = nn.Linear(hidden, dimension, bias=False)
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.into.weight, std=bert.config.initializer_range)
        nn.init.zeros_(self.into.bias)

    def forward(self, items: Tensor, packed: PackedBatch, cells: Tensor, pieces: Tensor) -> Tensor:
        """Embed shoppers at some places of their sequences.

        Args:
            items: (items, dimension) embeddings.
            packed: What each shopper searched for, if anything, then the history. Ids below the
                number of items are positions in `items`, that number itself is filling, and what
                is above it are positions in `pieces`.
            cells: (shoppers,) int64 cells whose state is wanted, rows laid end to end.
            pieces: (pieces,) int64 word pieces.

        Returns:
            (shoppers, dimension) float32, unit length.
        """
        padded = torch.cat([items, items.new_zeros(1, items.shape[1])])
        words = self.bert.get_input_embeddings()(pieces)
        tokens = torch.cat([self.into(padded.to(self.into.weight.dtype)).to(words.dtype), words])
        states = self.bert(
            inputs_embeds=self.dropout(functional.embedding(packed.ids, tokens)),
            position_ids=packed.positions,
            attention_mask=packed.attention_mask,
        ).last_hidden_state
        places = states.flatten(0, 1)[cells]
        return functional.normalize(self.out(places).float(), dim=-1)
