"""What every ranker does with what it reads, and the cross-encoder; plain torch."""

import torch
from torch import Tensor, nn

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
