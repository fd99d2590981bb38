"""What every ranker does with what it reads, and the cross-encoder; plain torch."""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from backbone.batch import TokenBatch


class Corrector(nn.Module):
    """Corrects the shortlist's score by what a backbone reads of a candidate.

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

    def corrected(self, candidates: Tensor, shortlist_scores: Tensor) -> Tensor:
        """Score candidates.

        Args:
            candidates: (…, hidden) what was read of each.
            shortlist_scores: (candidates,) scores in their shortlists, logits.

        Returns:
            (candidates,) logits, float32.
        """
        correction: Tensor = self.head(candidates).flatten().float()
        return correction + self.shortlist_weight.float() * shortlist_scores


class CrossEncoder(Corrector):
    """Joint BERT over history and candidate."""

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
        return self.corrected(candidate, shortlist_scores)
