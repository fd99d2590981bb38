"""What every ranker does with what it reads, and the cross-encoder; plain torch."""

import torch
from torch import Tensor, nn

FARTHEST = 8.0
"""Standard deviations at which a feature is clipped"""


class Corrector(nn.Module):
    """Corrects the shortlist's score by what a model reads of a candidate and by its features.

    Before training it scores exactly as the shortlist does: the correction starts at zero.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, hidden: int, features: int) -> None:
        """Make a head.

        Args:
            hidden: Length of what is read of a candidate.
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
        """Score as before training: exactly as the shortlist does."""
        for zero in (self.head.weight, self.head.bias, self.feature_weights.weight):
            zero.zero_()
        self.shortlist_weight.fill_(1)

    def standardised(self, features: Tensor) -> Tensor:
        """(candidates, features) with mean 0 and deviation 1 among the lists that are learnt."""
        away = (features - self.mean.float()) / self.scale.float()
        return away.clamp(-FARTHEST, FARTHEST).to(self.head.weight.dtype)

    def corrected(self, candidates: Tensor, shortlist_scores: Tensor, features: Tensor) -> Tensor:
        """Score candidates.

        Args:
            candidates: (…, hidden) what was read of each.
            shortlist_scores: (candidates,) scores in their shortlists, logits.
            features: (candidates, features) standardised.

        Returns:
            (candidates,) logits, float32.
        """
        correction = self.head(candidates).flatten().float()
        correction = correction + self.feature_weights(features).flatten().float()
        result: Tensor = correction + self.shortlist_weight.float() * shortlist_scores
        return result
