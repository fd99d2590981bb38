"""The user tower over items: one soft token a purchase, every place of a history read at once."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from backbone.chunked_gradients import in_chunks
from backbone.packing import PackedBatch, causal_mask
from dataset.interaction_codes import GAPS

DECAY = 0.7
"""Weight of an item relative to the next younger one before anything is learned."""
OWN_SEARCH = 3.0
"""Weight of a search relative to an item of the same age before anything is learned."""


class HistoryTower(nn.Module):
    """Causal BERT over the embeddings of a history's items.

    Item k of a history is one token, which also says how long after the item before it came and
    what the shopper did to it, where that is known. So fifty purchases cost fifty tokens, and a new
    purchase needs no text to be read. What a shopper searches for is one more token, the last: the
    item tower embeds the words as it would an item of that text. No token looks ahead, so the state
    at each place is what is known of the shopper at that time, and one pass trains them all (Kang &
    McAuley, "SASRec", ICDM 2018). A shopper's embedding is what the state says plus the sum of the
    tokens' own, the recent ones counting most, at learned weights and a learned decay: what is like
    what was bought, or asked for, need not be learned from nothing.
    """

    def __init__(
        self,
        bert: PreTrainedModel,
        *,
        dimension: int,
        actions: int,
        dropout: float = 0.0,
        rows_at_once: int | None = None,
    ) -> None:
        """Build it around a backbone.

        Args:
            bert: Encoder; it reads no words.
            dimension: Length of an embedding.
            actions: How many kinds of actions are told apart.
            dropout: Chance of zeroing an entry of a soft token in training.
            rows_at_once: Packed rows whose activations are held at once in training; by default
                all of a batch.
        """
        super().__init__()
        self.bert = bert
        hidden = bert.config.hidden_size
        self.into = nn.Linear(dimension, hidden)
        self.out = nn.Linear(hidden, dimension, bias=False)
        self.gaps, self.actions = nn.Embedding(GAPS, hidden), nn.Embedding(1 + actions, hidden)
        self.search = nn.Parameter(torch.zeros(hidden))
        self.dropout = nn.Dropout(dropout)
        self.rows_at_once = rows_at_once
        nn.init.normal_(self.into.weight, std=bert.config.initializer_range)
        for zero in (self.into.bias, self.gaps.weight, self.actions.weight):
            nn.init.zeros_(zero)
        nn.init.normal_(self.out.weight, std=bert.config.initializer_range)
        self.own_items = nn.Parameter(torch.ones(()))
        self.own_search = nn.Parameter(torch.tensor(OWN_SEARCH))
        self.decay = nn.Parameter(torch.logit(torch.tensor(DECAY)))

    def forward(
        self, items: Tensor, packed: PackedBatch, cells: Tensor, searches: Tensor
    ) -> Tensor:
        """Embed shoppers at some places of their sequences.

        Args:
            items: (items, dimension) embeddings.
            packed: Each shopper's history, then what is searched for, if anything. Ids below the
                number of items are positions in `items`, that number itself is filling, and what
                is above it are positions in `searches`.
            cells: (shoppers,) int64 cells whose state is wanted, rows laid end to end.
            searches: (searches, dimension) embeddings of the words.

        Returns:
            (shoppers, dimension) float32, unit length.
        """
        table = torch.cat([items, items.new_zeros(1, items.shape[1]), searches.to(items.dtype)])

        def embedded(ids: Tensor, contexts: Tensor, positions: Tensor, owners: Tensor) -> Tensor:
            mask = causal_mask(owners)
            known = functional.embedding(ids, table)
            searched = (ids > len(items)).unsqueeze(-1)
            tokens = self.into(known.to(self.into.weight.dtype))  # (rows, width, hidden)
            tokens = tokens + self.gaps(contexts % GAPS) + self.actions(contexts // GAPS)
            tokens = tokens + searched * self.search
            states = self.bert(
                inputs_embeds=self.dropout(tokens), position_ids=positions, attention_mask=mask
            ).last_hidden_state  # (rows, width, hidden)
            own = torch.where(searched, self.own_search, self.own_items) * known
            recent = recent_sum(own, positions, mask.squeeze(1), torch.sigmoid(self.decay))
            result: Tensor = self.out(states).float() + recent.float()
            return result

        read = in_chunks(
            embedded,
            packed.ids,
            packed.contexts,
            packed.positions,
            packed.owners,
            size=self.rows_at_once,
        )
        return functional.normalize(read.flatten(0, 1)[cells], dim=-1)


def recent_sum(known: Tensor, positions: Tensor, mask: Tensor, decay: Tensor) -> Tensor:
    """Sum of what each cell may look at, weighted by decay^age; its own age is 0.

    Args:
        known: (rows, width, dimension)
        positions: (rows, width) places within a sequence.
        mask: (rows, width, width) bool: whether a cell of the second axis may look at the third's.
        decay: Scalar between 0 and 1: weight of an item relative to the next younger one.

    Returns:
        (rows, width, dimension)
    """
    ages = (positions.unsqueeze(2) - positions.unsqueeze(1)).clamp(min=0)
    return (decay.to(known.dtype) ** ages * mask) @ known
