"""Base class of the ranker's models: adds a learnt correction to the shortlist's score."""

import torch
from torch import Tensor, nn

CLIP = 8.0
"""Standard deviations at which a feature is clipped"""


class Corrector(nn.Module):
    """Corrects the shortlist's score by a candidate's state and features.

    Before training the correction is zero, so the score equals the shortlist's.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, hidden: int, features: int) -> None:
        """Create the head with a correction of zero.

        Args:
            hidden: Length of a candidate's state.
            features: Number of features.
        """
        super().__init__()
        self.head = nn.Linear(hidden, 1)
        self.feature_weights = nn.Linear(features, 1, bias=False)
        self.shortlist_weight = nn.Parameter(torch.ones(()))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.trust_shortlist()

    @torch.no_grad()
    def trust_shortlist(self) -> None:
        """Reset the correction to zero, so that the score equals the shortlist's."""
        for zero in (self.head.weight, self.head.bias, self.feature_weights.weight):
            zero.zero_()
        self.shortlist_weight.fill_(1)

    def standardised(self, features: Tensor) -> Tensor:
        """(candidates, features) with mean 0 and standard deviation 1 over the training lists."""
        deviations = (features - self.mean.float()) / self.scale.float()
        return deviations.clamp(-CLIP, CLIP).to(self.head.weight.dtype)

    def corrected(self, candidates: Tensor, shortlist_scores: Tensor, features: Tensor) -> Tensor:
        """Add the correction to the shortlist's scores.

        Args:
            candidates: (…, hidden) states of the candidates.
            shortlist_scores: (candidates,) scores in their shortlists, logits.
            features: (candidates, features) standardised.

        Returns:
            (candidates,) logits, float32.
        """
        correction = self.head(candidates).flatten().float()
        correction = correction + self.feature_weights(features).flatten().float()
        result: Tensor = correction + self.shortlist_weight.float() * shortlist_scores
        return result
