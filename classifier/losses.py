"""Losses of heads: cross-entropy, sampled where labels are many, and losses of numbers."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from classifier.config import ClassifierConfig
from classifier.contrast import contrast

HUBER = 1.0
"""Residual, in standard deviations, above which a number's loss grows linearly"""


@dataclass(frozen=True, kw_only=True)
class LabelLoss:
    """Cross-entropy of one output."""

    smoothing: float
    """Share of a label that is spread over all labels."""
    weights: Tensor | None
    """(classes,) weight of each class; None for equal ones."""
    shares: Tensor
    """(classes,) share of the training rows with each class."""
    negatives: int | None
    """Classes drawn per step; None to compute all logits."""
    contrast: float
    """Weight of the contrast between the texts of a batch."""

    @classmethod
    def of(cls, counts: Tensor, config: ClassifierConfig) -> "LabelLoss":
        """The loss that a configuration asks for.

        Args:
            counts: (classes,) training rows of each class.
            config: Smoothing, weights, and from how many classes on negatives are sampled.
        """
        shares = counts / counts.sum().clamp(min=1)
        weights = None
        if config.class_weights == "balanced":
            weights = counts.sum() / (len(counts) * counts.clamp(min=1))
        return cls(
            smoothing=config.label_smoothing,
            weights=weights,
            shares=shares,
            negatives=config.negatives if len(counts) > config.sampled_above else None,
            contrast=config.contrast_of(int(counts.sum()), len(counts)),
        )

    def __call__(self, read: Tensor, head: nn.Linear, classes: Tensor) -> Tensor:
        """Mean loss over the texts with a known class; 0 if there are none.

        Args:
            read: (texts, hidden) input of the head.
            head: The head.
            classes: (texts,) int64; negative without a known class.
        """
        known = classes >= 0
        if not known.any():
            return 0.0 * head.bias.sum()
        read, classes = read[known], classes[known]
        loss = self._of_logits(read, head, classes)
        return loss + self.contrast * contrast(read, classes) if self.contrast else loss

    def _of_logits(self, read: Tensor, head: nn.Linear, classes: Tensor) -> Tensor:
        weights = None if self.weights is None else self.weights.to(read.device)
        if self.negatives is None:
            return functional.cross_entropy(
                head(read), classes, weight=weights, label_smoothing=self.smoothing
            )
        drawn = torch.randint(len(self.shares), (self.negatives,), device=classes.device)
        candidates, place = torch.unique(torch.cat([classes, drawn]), return_inverse=True)
        targets = place[: len(classes)]
        logits = functional.linear(read, head.weight[candidates], head.bias[candidates]).float()
        corrected = logits - self._log_inclusion(candidates, len(classes))
        own = targets[:, None]
        corrected = corrected.scatter(1, own, logits.gather(1, own))
        chosen = None if weights is None else weights[candidates]
        return functional.cross_entropy(
            corrected, targets, weight=chosen, label_smoothing=self.smoothing
        )

    def _log_inclusion(self, candidates: Tensor, texts: int) -> Tensor:
        """(candidates,): log probability that a class is among the candidates of a batch.

        A class is there if it is drawn, or is the class of a text of the batch. The corrected sum
        over the candidates then estimates the sum over all classes (Bengio & Senécal, "Adaptive
        importance sampling to accelerate training of a neural probabilistic language model", 2008).
        """
        assert self.negatives is not None
        classes = len(self.shares)
        absent_of_drawn = self.negatives * torch.log1p(torch.tensor(-1.0 / classes))
        shares = self.shares.to(candidates.device)[candidates]
        absent = absent_of_drawn + texts * torch.log1p(-shares.clamp(max=1 - 1e-6))
        return torch.log(-torch.expm1(absent))


def number_loss(outputs: Tensor, numbers: Tensor, kind: str) -> Tensor:
    """Mean loss over the texts with a known number; 0 if there are none.

    Args:
        outputs: (texts,) predictions, in standard deviations.
        numbers: (texts,) numbers, in standard deviations; NaN for a missing one.
        kind: `huber` or `mse`.
    """
    known = torch.isfinite(numbers)
    if not known.any():
        return 0.0 * outputs.sum()
    if kind == "mse":
        return functional.mse_loss(outputs[known], numbers[known])
    return functional.huber_loss(outputs[known], numbers[known], delta=HUBER)
