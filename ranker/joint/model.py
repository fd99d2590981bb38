"""The joint cross-encoder: BERT reads a history and a candidate as one text."""

from torch import Tensor
from transformers import PreTrainedModel

from backbone.batch import TokenBatch
from backbone.kinds import pooling_of
from backbone.layers import token_states
from ranker.corrector import Corrector


class CrossEncoder(Corrector):
    """BERT over the history and the candidate in one text."""

    def __init__(self, bert: PreTrainedModel, features: int) -> None:
        """Put a head on a backbone."""
        super().__init__(int(bert.config.hidden_size), features)
        self.bert, self._pooled = bert, pooling_of(bert)

    def forward(self, batch: TokenBatch, shortlist_scores: Tensor, features: Tensor) -> Tensor:
        """Score pairs.

        Args:
            batch: `[CLS] history [SEP] item [SEP]`, segment 1 for the item.
            shortlist_scores: (batch,) score of the pair in its shortlist, logits.
            features: (batch, features) raw values.

        Returns:
            (batch,) logits, float32.
        """
        states = token_states(self.bert, batch.ids, batch.mask, batch.segments)
        candidate = self._pooled(states, batch.segments)
        return self.corrected(candidate, shortlist_scores, self.standardised(features))
