"""Options of the classifier; importable without torch."""

from dataclasses import dataclass, field
from typing import Literal

from backbone.config import AugmentationConfig, TrainingConfig
from dataset.labelled_texts import Task


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """BERT with one head for each column of labels or numbers."""

    target: str = ""
    """Column to predict; several with commas, each with a head over the same backbone."""
    text: str = ""
    """Column of the text; several with commas, in their order; by default the text of an item,
    which is every column of words."""
    task: Task = "auto"
    """What the targets are. `auto` reads numbers with more than 20 different values as numbers."""
    separator: str = ">"
    """Separates the levels of a label, as in `a > b > c`, if most labels have it; empty for
    labels without levels."""
    backbone: str = ".cache/all-MiniLM-L6-v2"
    """Local folder of an encoder or a decoder, or hub name with the commit of its revision:
    `sentence-transformers/all-MiniLM-L6-v2@` and 40 hexadecimal digits."""
    max_tokens: int = 64
    """Most word pieces of a text, including the special tokens."""
    token_budget: int = 64
    """Most words and punctuation marks of a text."""
    head_dropout: float = 0.1
    """Probability of zeroing a number of a text's state before the heads, in training."""
    label_smoothing: float = 0.1
    """Share of each training label that is spread over all labels."""
    label_words: bool = True
    """Whether the words of a label are one more training text of it, as in `card_arrival`; labels
    without words, such as codes, have none."""
    least_steps: int = 35
    """Least steps of an epoch: fewer texts are read several times in one."""
    least_checked: int = 200
    """Validation texts from which on they choose the number of epochs; fewer would choose by
    chance, so that all epochs are trained."""
    contrast: float = 1.0
    """Weight of a loss that draws texts of one label together, where texts are few; 0 for none."""
    contrast_below: int = 20
    """Training texts a label, on average, up to which texts are few."""
    class_weights: Literal["none", "balanced"] = "none"
    """`balanced` weighs a label by the inverse of its frequency: rare ones count as much."""
    sampled_above: int = 20_000
    """Number of labels above which the loss samples negatives."""
    negatives: int = 4_096
    """Labels drawn per step where the loss samples negatives."""
    number_loss: Literal["huber", "mse"] = "huber"
    """Loss of numbers, in their standard deviations."""
    logarithm: Literal["auto", "yes", "no"] = "auto"
    """Whether the logarithm of numbers is learnt; `auto` for positive, skewed ones."""
    averaging: float = 0.99
    """Decay of the moving average of the weights, which gives the final classifier; with 0 it has
    the weights of the last step."""
    seeds: int = 1
    """Number of trainings, each with the next seed; the classifier averages their logits and takes
    as many times as long."""
    refit: bool = True
    """Whether to train again on training and validation rows for the chosen number of epochs."""
    rdrop: float = 0.0
    """Weight of the difference between two readings of each text with other dropout and other
    changes, R-Drop; 0 reads each text once, anything else doubles the time. It leaves out targets
    whose loss samples negatives."""
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    """Changes of training texts; without effect where the backbone is frozen."""
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            max_epochs=3,
            examples_per_epoch=50_000,
            batch_size=64,
            learning_rate=2e-4,
            new_learning_rate=5e-4,
            layer_decay=0.9,
            trained_layers=5,
            dropout=0.1,
            patience=2,
        )
    )
    """How the backbone is fine-tuned; an example is a text. `trained_layers: 0` trains the heads
    alone."""

    def contrast_of(self, texts: int, labels: int) -> float:
        """Weight of the contrast for so many training texts of so many labels."""
        few = texts <= self.contrast_below * labels
        return self.contrast if few and self.training.trained_layers else 0.0

    @property
    def targets(self) -> tuple[str, ...]:
        """Columns to predict."""
        return names_in(self.target)

    @property
    def texts(self) -> tuple[str, ...]:
        """Columns of the text; empty for the text of an item."""
        return names_in(self.text)

    def __post_init__(self) -> None:
        if not self.targets:
            raise ValueError("target must name a column to predict, got none; add --target=label")
        if len(set(self.targets)) < len(self.targets):
            raise ValueError(f"target must name each column once, got {self.target!r}")
        if both := [name for name in self.targets if name in self.texts]:
            raise ValueError(f"text must not name a target, got {both[0]!r} in both")
        for name in ("max_tokens", "token_budget"):
            if getattr(self, name) < 3:
                raise ValueError(f"{name} must be at least 3, got {getattr(self, name)}")
        for name in ("negatives", "sampled_above", "seeds", "least_steps", "least_checked"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("contrast", "contrast_below", "rdrop"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("head_dropout", "label_smoothing", "averaging"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        self._require_training()

    def _require_training(self) -> None:
        if self.training.adversarial != "none" and not self.training.trained_layers:
            raise ValueError(
                "training.adversarial must be none where the heads alone are trained, got "
                f"{self.training.adversarial}; add --training.trained_layers=1 or more"
            )
        if self.refit and self.training.devices > 1:
            raise ValueError(
                f"training.devices must be 1 with a refit, got {self.training.devices}; "
                "add --refit=false"
            )


def names_in(option: str) -> tuple[str, ...]:
    """Names of columns that an option lists with commas."""
    return tuple(name.strip() for name in option.split(",") if name.strip())
