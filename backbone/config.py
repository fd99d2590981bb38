"""How a backbone is fine-tuned; importable without torch."""

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class AdapterConfig:
    """Small matrices that are trained instead of a backbone's own."""

    kind: Literal["none", "lora", "adalora"] = "none"
    """`none` trains the layers themselves; `adalora` moves rank to where it matters."""
    rank: int = 8
    """Rank of an adapter; for `adalora` the mean over all of them at the end."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"rank must be at least 1, got {self.rank}")


@dataclass(frozen=True, kw_only=True)
class LoggerConfig:
    """Where the curves of a training go."""

    kind: str = "pytorch_lightning.loggers.TensorBoardLogger"
    """Class path of a Lightning logger, for example `pytorch_lightning.loggers.WandbLogger` or
    `pytorch_lightning.loggers.MLFlowLogger`; its package must be installed."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """Its arguments; TensorBoard writes beside the checkpoints by default."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a BERT is fine-tuned."""

    max_epochs: int = 6
    """Epochs at most; early stopping may end it before."""
    examples_per_epoch: int = 20_000
    """Training examples drawn an epoch; the next epoch goes on where the last one ended."""
    batch_size: int = 256
    """Examples a step."""
    learning_rate: float = 1e-4
    """Peak of the schedule, for the backbone's top layer."""
    layer_decay: float = 1.0
    """Learning rate of a layer of the backbone relative to the layer above it."""
    new_learning_rate: float | None = None
    """Peak of the schedule for weights that start from nothing; by default the backbone's."""
    weight_decay: float = 0.01
    """Decoupled weight decay of matrices; biases and norms have none."""
    warmup: float = 0.1
    """Share of the steps in which the learning rate rises."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """How the learning rate goes on: falling to 0 at `max_epochs`, or staying, which suits averaged
    weights and a training whose length early stopping decides."""
    patience: int = 2
    """Epochs without a better validation figure before training stops."""
    trained_layers: int = 3
    """Top layers of the backbone that are trained; all of them trains its word embeddings too."""
    adapter: AdapterConfig = field(default_factory=AdapterConfig)
    """Trained in place of the layers."""
    dropout: float = 0.0
    """Chance of zeroing an activation of the backbone in training."""
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    """Where the curves go."""
    devices: int = 1
    """GPUs, or processes on a CPU, that train together."""
    seed: int = 7
    """Seeds weights, order and sampling."""

    def __post_init__(self) -> None:
        for name in ("max_epochs", "examples_per_epoch", "batch_size", "patience", "devices"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.learning_rate <= 0:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}")
        if self.new_learning_rate is not None and self.new_learning_rate <= 0:
            raise ValueError(f"new_learning_rate must be positive, got {self.new_learning_rate}")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"layer_decay must be in (0, 1], got {self.layer_decay}")
        for name in ("warmup", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
