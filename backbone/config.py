"""Options of fine-tuning a backbone; importable without torch."""

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class AdapterConfig:
    """What is trained of the trained layers instead of their own matrices."""

    kind: Literal["none", "lora", "adalora", "bottleneck", "prefix", "bitfit"] = "none"
    """`none` trains the layers themselves. `lora` adds small matrices to their linear maps, and
    `adalora` moves rank to the important ones. `bottleneck` inserts narrow networks behind the
    attention and the feed-forward part, and `prefix` keys and values that all tokens attend to.
    `bitfit` trains the biases alone."""
    rank: int = 8
    """Rank of a small matrix; for `adalora` the mean over all of them at the end of training."""
    width: int = 32
    """Width of a bottleneck."""
    vectors: int = 16
    """Keys and values of a prefix in each layer."""

    def __post_init__(self) -> None:
        for name in ("rank", "width", "vectors"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """Changes of training texts, drawn anew each time a text is read."""

    typos: float = 0.0
    """Probability of a typo in each word of three characters or more: a letter deleted, inserted,
    swapped with the next one, or hit beside its key."""
    dropped_words: float = 0.0
    """Probability of leaving out each word."""
    synonyms: float = 0.0
    """Probability of replacing each word that has a synonym; synonyms are learnt from the texts."""

    def __post_init__(self) -> None:
        for name in ("typos", "dropped_words", "synonyms"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")

    @property
    def changes(self) -> bool:
        """Whether any text is changed."""
        return bool(self.typos or self.dropped_words or self.synonyms)


@dataclass(frozen=True, kw_only=True)
class LoggerConfig:
    """Logger of a training's metrics."""

    kind: str = "pytorch_lightning.loggers.TensorBoardLogger"
    """Class path of a Lightning logger, for example `pytorch_lightning.loggers.WandbLogger` or
    `pytorch_lightning.loggers.MLFlowLogger`; its package must be installed."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """Arguments of the logger; TensorBoard writes next to the checkpoints by default."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Options of fine-tuning a BERT."""

    max_epochs: int = 6
    """Most epochs; early stopping may end the training earlier."""
    examples_per_epoch: int = 20_000
    """Training examples per epoch; each epoch continues where the last one ended."""
    batch_size: int = 256
    """Examples per step."""
    learning_rate: float = 1e-4
    """Peak learning rate of the backbone's top layer."""
    layer_decay: float = 1.0
    """Learning rate of a layer of the backbone relative to the layer above it."""
    new_learning_rate: float | None = None
    """Peak learning rate of weights that are not pretrained; by default the backbone's."""
    weight_decay: float = 0.01
    """Decoupled weight decay of matrices; biases and norms have none."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """`sgd` has a momentum of 0.9; it keeps less memory and needs higher learning rates."""
    warmup: float = 0.1
    """Share of the steps during which the learning rate rises."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Learning rate after warm-up: `cosine` falls to 0 at `max_epochs`; `constant` stays, which
    suits averaged weights and early stopping."""
    patience: int = 2
    """Epochs without a better validation metric before training stops."""
    trained_layers: int = 3
    """Top layers of the backbone that are trained; if all are, so are the word embeddings."""
    adapter: AdapterConfig = field(default_factory=AdapterConfig)
    """Adapters that are trained instead of the layers."""
    dropout: float = 0.0
    """Probability of zeroing an activation of the backbone in training."""
    adversarial: Literal["none", "fgm"] = "none"
    """`fgm` also trains on texts whose word embeddings moved along the loss's gradient, by the fast
    gradient method; a step takes about three times as long."""
    adversarial_size: float = 0.1
    """Length of such a movement, in lengths of the text's word embeddings."""
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    """Logger of the training's metrics."""
    devices: int = 1
    """Number of GPUs, or processes on a CPU, that train together."""
    seed: int = 7
    """Seed of weights, order and sampling."""

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
        if self.adversarial_size <= 0:
            raise ValueError(f"adversarial_size must be positive, got {self.adversarial_size}")
        for name in ("warmup", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
