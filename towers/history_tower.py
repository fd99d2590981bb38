"""The user tower over items: one soft token per purchase, all positions encoded in one pass."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from backbone.chunked_gradients import in_chunks
from backbone.kinds import first_position, soft_token_size
from backbone.packing import PackedBatch, causal_mask
from dataset.interaction_codes import GAPS

DECAY = 0.7
"""Initial weight of an item relative to the next newer one."""
OWN_SEARCH = 3.0
"""Initial weight of a search relative to an item of the same age."""


class HistoryTower(nn.Module):
    """Causal BERT over the embeddings of a history's items.

    Each item of a history is one token. If known, the token also encodes the time since the item
    before and the shopper's action. So fifty purchases cost fifty tokens, and a new purchase needs
    no text. A search is one more token, the last: the item tower embeds its words like the text of
    an item. Attention is causal, so the state at each position encodes the shopper at that time,
    and one pass trains all positions (Kang & McAuley, "SASRec", ICDM 2018).

    A shopper's embedding is the projected state plus the sum of the tokens' own embeddings, with
    learned weights and a learned decay by age. So at the start of training, it is already near
    items like those bought or searched for.
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
        """Build the tower around a backbone.

        Args:
            bert: Backbone; its word embeddings are not used.
            dimension: Dimension of an embedding.
            actions: Number of kinds of actions.
            dropout: Probability of zeroing an entry of a soft token in training.
            rows_at_once: Packed rows whose activations are in memory at once in training; by
                default the whole batch.
        """
        super().__init__()
        self.bert = bert
        hidden, size = bert.config.hidden_size, soft_token_size(bert)
        self._first_position = first_position(bert)
        self.into = nn.Linear(dimension, size)
        self.out = nn.Linear(hidden, dimension, bias=False)
        self.gaps, self.actions = nn.Embedding(GAPS, size), nn.Embedding(1 + actions, size)
        self.search = nn.Parameter(torch.zeros(size))
        self.dropout = nn.Dropout(dropout)
        self.rows_at_once = rows_at_once
        nn.init.normal_(self.into.weight, std=bert.config.initializer_range)
        for zero in (self.into.bias, self.gaps.weight, self.actions.weight):
            nn.init.zeros_(zero)
        nn.init.normal_(self.out.weight, std=bert.config.initializer_range)
        self.own_items = nn.Parameter(torch.ones(()))
        self.own_search = nn.Parameter(torch.tensor(OWN_SEARCH))
        self.decay = nn.Parameter(torch.logit(torch.tensor(DECAY)))

    @torch.no_grad()
    def trust_items(self) -> None:
        """Reset the projected state to zero, so that an embedding is the sum of its own tokens."""
        self.out.weight.zero_()

    @torch.no_grad()
    def know_only(self, actions: Sequence[int]) -> None:
        """Embed all but some actions as unknown ones, because training has not taught them."""
        others = torch.ones(len(self.actions.weight), dtype=torch.bool)
        others[list(actions)] = False
        self.actions.weight[others.to(self.actions.weight.device)] = self.actions.weight[0].clone()

    def forward(
        self, items: Tensor, packed: PackedBatch, cells: Tensor, searches: Tensor
    ) -> Tensor:
        """Embed shoppers at given positions of their sequences.

        Args:
            items: (items, dimension) item embeddings.
            packed: Each shopper's history, followed by the search, if any. An id below the number
                of items is a position in `items`, an id equal to it is filler, and id
                `len(items) + 1 + s` is position s in `searches`.
            cells: (shoppers,) int64 cells to embed, as positions in the flattened packed batch.
            searches: (searches, dimension) embeddings of the searches.

        Returns:
            (shoppers, dimension) float32, unit length.
        """
        table = torch.cat([items, items.new_zeros(1, items.shape[1]), searches.to(items.dtype)])

        def embedded(
            ids: Tensor, interaction_codes: Tensor, positions: Tensor, owners: Tensor
        ) -> Tensor:
            mask = causal_mask(owners)
            known = functional.embedding(ids, table)
            searched = (ids > len(items)).unsqueeze(-1)
            tokens = self.into(known.to(self.into.weight.dtype))  # (rows, width, size)
            tokens = (
                tokens
                + self.gaps(interaction_codes % GAPS)
                + self.actions(interaction_codes // GAPS)
            )
            tokens = tokens + searched * self.search
            states = self.bert(
                inputs_embeds=self.dropout(tokens),
                position_ids=positions + self._first_position,
                attention_mask=mask,
            ).last_hidden_state  # (rows, width, hidden)
            own = torch.where(searched, self.own_search, self.own_items) * known
            recent = recent_sum(own, positions, mask.squeeze(1), torch.sigmoid(self.decay))
            result: Tensor = self.out(states).float() + recent.float()
            return result

        read = in_chunks(
            embedded,
            packed.ids,
            packed.interaction_codes,
            packed.positions,
            packed.owners,
            size=self.rows_at_once,
        )
        return functional.normalize(read.flatten(0, 1)[cells], dim=-1)


def recent_sum(known: Tensor, positions: Tensor, mask: Tensor, decay: Tensor) -> Tensor:
    """Sum over the cells that each cell attends to, weighted by decay^age; its own age is 0.

    Args:
        known: (rows, width, dimension) embeddings of the cells.
        positions: (rows, width) positions within a sequence.
        mask: (rows, width, width) bool: whether a cell (second axis) attends to another (third).
        decay: Scalar in (0, 1): weight of an item relative to the next newer one.

    Returns:
        (rows, width, dimension) weighted sums.
    """
    ages = (positions.unsqueeze(2) - positions.unsqueeze(1)).clamp(min=0)
    return (decay.to(known.dtype) ** ages * mask) @ known
