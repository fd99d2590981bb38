"""Options of pre-training and distillation; importable without torch."""

from dataclasses import dataclass, field

from backbone.config import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class LearningConfig:
    """Options of every stage that learns a backbone from texts."""

    backbone: str = ".cache/all-MiniLM-L6-v2"
    """Backbone to start from: local folder of an encoder, or hub name with the commit of its
    revision: `sentence-transformers/all-MiniLM-L6-v2@` and 40 hexadecimal digits."""
    text: str = ""
    """Column of the text of a table without interactions; several with commas. By default the
    dataset is a shop, whose `data` stage must be there."""
    token_budget: int = 64
    """Most words and punctuation marks of a text of a table."""
    max_tokens: int = 32
    """Most word pieces of a text, including the special tokens."""
    averaging: float = 0.99
    """Decay of the moving average of the weights, which gives the final backbone; with 0 it has
    the weights of the last step."""
    held_out: float = 0.05
    """Share of the examples that stop the training early instead of being learnt."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """How the backbone is trained."""

    @property
    def texts(self) -> tuple[str, ...]:
        """Columns of the text of a table; empty for a shop."""
        return tuple(name.strip() for name in self.text.split(",") if name.strip())

    def __post_init__(self) -> None:
        for name in ("max_tokens", "token_budget"):
            if getattr(self, name) < 3:
                raise ValueError(f"{name} must be at least 3, got {getattr(self, name)}")
        for name in ("averaging", "held_out"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if self.training.devices > 1:
            raise ValueError(f"training.devices must be 1, got {self.training.devices}")
        if self.training.adversarial != "none":
            raise ValueError(
                "training.adversarial must be none where no label is learnt, got "
                f"{self.training.adversarial}"
            )
        if not self.training.trained_layers:
            raise ValueError("training.trained_layers must be at least 1, got 0")


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(LearningConfig):
    """A backbone that learns a shop's texts before any stage reads them."""

    window: int = 3
    """Purchases after one that may be its partner."""
    temperature: float = 0.05
    """Divides the cosines of the texts of a batch."""
    words: float = 0.1
    """Weight of the loss of masked words beside that of pairs; 0 masks none."""
    masked: float = 0.15
    """Share of the word pieces of a pair's second text that are masked."""
    held_out: float = 0.05
    """Share of the shoppers whose pairs stop the training early; without shoppers, share of the
    texts whose masked words do."""
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            max_epochs=3,
            examples_per_epoch=12_000,
            batch_size=128,
            learning_rate=2e-4,
            new_learning_rate=1e-3,
            trained_layers=3,
            dropout=0.1,
            schedule="constant",
            patience=1,
        )
    )
    """How the backbone is trained; an example is a pair of texts."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window < 1:
            raise ValueError(f"window must be at least 1, got {self.window}")
        if not 0.01 <= self.temperature <= 1:
            raise ValueError(f"temperature must be in [0.01, 1], got {self.temperature}")
        if self.words < 0:
            raise ValueError(f"words must not be negative, got {self.words}")
        if not 0 <= self.masked < 1:
            raise ValueError(f"masked must be in [0, 1), got {self.masked}")


@dataclass(frozen=True, kw_only=True)
class DistilConfig(LearningConfig):
    """A backbone of fewer layers that learns another one's states of texts."""

    backbone: str = ".cache/all-MiniLM-L6-v2"
    """Teacher: local folder of an encoder, such as `artifacts/<name>/classifier/backbone`, or hub
    name with the commit of its revision."""
    layers: int = 3
    """Layers of the student. They start from layers spread evenly over the teacher's."""
    held_out: float = 0.05
    """Share of the texts whose cosine with the teacher's states stops the training early."""
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            max_epochs=4,
            examples_per_epoch=20_000,
            batch_size=64,
            learning_rate=5e-4,
            trained_layers=3,
            patience=2,
        )
    )
    """How the student is trained; an example is a text. Of a student with fewer layers than
    `trained_layers`, all are trained; its word embeddings stay the teacher's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers < 1:
            raise ValueError(f"layers must be at least 1, got {self.layers}")
