"""The joint cross-encoder: BERT reads a history and a candidate as one text."""

from torch import Tensor
from transformers import PreTrainedModel

from backbone.batch import TokenBatch
from ranker.corrector import Corrector


class CrossEncoder(Corrector):
    """BERT over the history and the candidate in one text."""

    def __init__(self, bert: PreTrainedModel, features: int) -> None:
        """Put a head on an encoder that has token types."""
        super().__init__(int(bert.config.hidden_size), features)
        self.bert = bert

    def forward(self, batch: TokenBatch, shortlist_scores: Tensor, features: Tensor) -> Tensor:
        """Score pairs.

        Args:
            batch: `[CLS] history [SEP] item [SEP]`, segment 1 for the item.
            shortlist_scores: (batch,) score of the pair in its shortlist, logits.
            features: (batch, features) raw values.

        Returns:
            (batch,) logits, float32.
        """
        states = self.bert(
            input_ids=batch.ids, attention_mask=batch.mask, token_type_ids=batch.segments
        ).last_hidden_state  # (batch, length, hidden)
        weights = batch.segments.unsqueeze(-1).to(states.dtype)
        candidate = (states * weights).sum(1) / weights.sum(1).clamp(min=1)
        return self.corrected(candidate, shortlist_scores, self.standardised(features))
