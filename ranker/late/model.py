"""The late-joining model: candidates attend to the history in the top layers.

The candidates' states below these layers were computed when the ranker was made.
"""

from torch import Tensor
from transformers import PreTrainedModel

from ranker.corrector import Corrector
from ranker.late.inputs import LateBatch
from ranker.late.shared_prefix import joined, prefix_states


class LateRanker(Corrector):
    """BERT whose top layers let candidates attend to the history."""

    def __init__(self, bert: PreTrainedModel, features: int, *, joined_layers: int) -> None:
        """Put a head on a backbone.

        Args:
            bert: Encoder.
            features: Number of features.
            joined_layers: Number of top layers in which candidates attend to histories.
        """
        super().__init__(int(bert.config.hidden_size), features)
        self.bert = bert
        self.joined_layers = joined_layers

    def forward(self, batch: LateBatch, shortlist_scores: Tensor, features: Tensor) -> Tensor:
        """Score the candidates of every shopper.

        Args:
            batch: Shoppers and candidates.
            shortlist_scores: (shoppers × candidates,) scores in the shortlist, logits.
            features: (shoppers × candidates, features) raw values.

        Returns:
            (shoppers × candidates,) logits, float32.
        """
        prefix = prefix_states(self.bert, batch.prefix, joined_layers=self.joined_layers)
        states = joined(
            self.bert,
            batch.states.to(prefix[0].dtype),
            batch.present,
            prefix,
            batch.prefix.mask,
        )
        weights = batch.present.unsqueeze(-1).to(states.dtype)
        candidate = (states * weights).sum(-2) / weights.sum(-2).clamp(min=1)
        return self.corrected(candidate, shortlist_scores, self.standardised(features))
