"""The cross-encoder; plain torch."""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from backbone.batch import TokenBatch


class CrossEncoder(nn.Module):
    """Joint BERT over history and candidate; corrects the shortlist's score by what it reads.

    Before training it scores exactly as the shortlist does: the head starts at zero.
    """

    def __init__(self, bert: PreTrainedModel) -> None:
        """Put a head on a backbone, an encoder with token types."""
        super().__init__()
        self.bert = bert
        self.head = nn.Linear(bert.config.hidden_size, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.shortlist_weight = nn.Parameter(torch.ones(()))

    def forward(self, batch: TokenBatch, shortlist_scores: Tensor) -> Tensor:
        """Score pairs.

        Args:
            batch: `[CLS] history [SEP] item [SEP]`, segment 1 for the item.
            shortlist_scores: (batch,) score of the pair in its shortlist, logits.

        Returns:
            (batch,) logits, float32.
        """
        states = self.bert(
            input_ids=batch.ids, attention_mask=batch.mask, token_type_ids=batch.segments
        ).last_hidden_state  # (batch, length, hidden)
        weights = batch.segments.unsqueeze(-1).to(states.dtype)
        candidate = (states * weights).sum(1) / weights.sum(1).clamp(min=1)
        correction: Tensor = self.head(candidate).squeeze(-1).float()
        return correction + self.shortlist_weight.float() * shortlist_scores
