"""What every ranker does with what it reads, and the cross-encoder; plain torch."""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from backbone.batch import TokenBatch

FARTHEST = 8.0
"""Standard deviations beyond which a signal is cut"""


class Corrector(nn.Module):
    """Corrects the shortlist's score by what is read of a candidate and what signals say of it.

    Before training it scores exactly as the shortlist does: what it adds starts at zero.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, hidden: int, signals: int) -> None:
        """Make a head.

        Args:
            hidden: Length of what is read of a candidate.
            signals: Columns of the signals.
        """
        super().__init__()
        self.head = nn.Linear(hidden, 1)
        self.of_signals = nn.Linear(signals, 1, bias=False)
        self.shortlist_weight = nn.Parameter(torch.ones(()))
        self.register_buffer("mean", torch.zeros(signals))
        self.register_buffer("scale", torch.ones(signals))
        self.trust_shortlist()

    @torch.no_grad()
    def trust_shortlist(self) -> None:
        """Score as before training: exactly as the shortlist does."""
        for zero in (self.head.weight, self.head.bias, self.of_signals.weight):
            zero.zero_()
        self.shortlist_weight.fill_(1)

    def standardised(self, signals: Tensor) -> Tensor:
        """(candidates, signals) with mean 0 and deviation 1 among the lists that are learnt."""
        away = (signals - self.mean.float()) / self.scale.float()
        return away.clamp(-FARTHEST, FARTHEST).to(self.head.weight.dtype)

    def corrected(self, candidates: Tensor, shortlist_scores: Tensor, signals: Tensor) -> Tensor:
        """Score candidates.

        Args:
            candidates: (…, hidden) what was read of each.
            shortlist_scores: (candidates,) scores in their shortlists, logits.
            signals: (candidates, signals) standardised.

        Returns:
            (candidates,) logits, float32.
        """
        correction = self.head(candidates).flatten().float()
        correction = correction + self.of_signals(signals).flatten().float()
        result: Tensor = correction + self.shortlist_weight.float() * shortlist_scores
        return result


class CrossEncoder(Corrector):
    """Joint BERT over history and candidate."""

    def __init__(self, bert: PreTrainedModel, signals: int) -> None:
        """Put a head on an encoder with token types."""
        super().__init__(int(bert.config.hidden_size), signals)
        self.bert = bert

    def forward(self, batch: TokenBatch, shortlist_scores: Tensor, signals: Tensor) -> Tensor:
        """Score pairs.

        Args:
            batch: `[CLS] history [SEP] item [SEP]`, segment 1 for the item.
            shortlist_scores: (batch,) score of the pair in its shortlist, logits.
            signals: (batch, signals)

        Returns:
            (batch,) logits, float32.
        """
        states = self.bert(
            input_ids=batch.ids, attention_mask=batch.mask, token_type_ids=batch.segments
        ).last_hidden_state  # (batch, length, hidden)
        weights = batch.segments.unsqueeze(-1).to(states.dtype)
        candidate = (states * weights).sum(1) / weights.sum(1).clamp(min=1)
        return self.corrected(candidate, shortlist_scores, self.standardised(signals))
