"""The joint cross-encoder: BERT reads history and candidate together."""

from torch import Tensor
from transformers import PreTrainedModel

from backbone.batch import TokenBatch
from ranker.corrector import Corrector


class CrossEncoder(Corrector):
    """Joint BERT over history and candidate."""

    def __init__(self, bert: PreTrainedModel, features: int) -> None:
        """Put a head on an encoder with token types."""
        super().__init__(int(bert.config.hidden_size), features)
        self.bert = bert

    def forward(self, batch: TokenBatch, shortlist_scores: Tensor, features: Tensor) -> Tensor:
        """Score pairs.

        Args:
            batch: `[CLS] history [SEP] item [SEP]`, segment 1 for the item.
            shortlist_scores: (batch,) score of the pair in its shortlist, logits.
            features: (batch, features)

        Returns:
            (batch,) logits, float32.
        """
        states = self.bert(
            input_ids=batch.ids, attention_mask=batch.mask, token_type_ids=batch.segments
        ).last_hidden_state  # (batch, length, hidden)
        weights = batch.segments.unsqueeze(-1).to(states.dtype)
        candidate = (states * weights).sum(1) / weights.sum(1).clamp(min=1)
        return self.corrected(candidate, shortlist_scores, self.standardised(features))
