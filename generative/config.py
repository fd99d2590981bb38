"""Options of the generative stage; importable without torch."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class GenerativeConfig:
    """Semantic ids and the decoder that writes them."""

    levels: int = 3
    """Codes of an item by residual k-means; one more tells items of equal codes apart."""
    codes: int = 256
    """Most codes of a level."""
    width: int = 128
    """Width of the decoder."""
    layers: int = 2
    """Layers that read a history."""
    heads: int = 4
    """Attention heads of a layer."""
    history_length: int = 50
    """Most items of a history, the newest."""
    dropout: float = 0.2
    """Probability of zeroing an activation in training."""
    averaging: float = 0.99
    """Decay of the moving average of the weights, which gives the final decoder."""
    max_epochs: int = 30
    """Most epochs; early stopping may end the training earlier."""
    patience: int = 3
    """Epochs without a better NDCG@10 of validation users before training stops."""
    batch_size: int = 1_024
    """Items of the histories of a step."""
    learning_rate: float = 1.0e-3
    """Peak learning rate."""
    weight_decay: float = 0.05
    """Decoupled weight decay of matrices; embeddings, biases and norms have none."""
    valid_users: int = 2_000
    """Most moments of validation users that early stopping evaluates, and most of other users that
    weigh the source."""
    weight: float | None = None
    """Weight of the source in the merge; 0 turns it off. By default the one that serves validation
    users best."""
    seed: int = 7
    """Seed of codes, weights, order and dropout."""

    def __post_init__(self) -> None:
        for name in (
            "levels",
            "width",
            "layers",
            "heads",
            "history_length",
            "max_epochs",
            "patience",
            "batch_size",
            "valid_users",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.batch_size <= self.history_length:
            raise ValueError(
                f"batch_size must be above the history_length of {self.history_length}, "
                f"got {self.batch_size}"
            )
        if self.codes < 2:
            raise ValueError(f"codes must be at least 2, got {self.codes}")
        if self.width % self.heads:
            raise ValueError(
                f"width must be a multiple of the {self.heads} heads, got {self.width}"
            )
        for name in ("dropout", "averaging"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}")
        for name in ("weight_decay", "weight"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"{name} must be 0 or above and finite, got {value}")
