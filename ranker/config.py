"""Options of the ranker; importable without torch."""

from dataclasses import dataclass, field

from backbone.config import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class RankerConfig:
    """BERT cross-attention over history and candidates, trained on mined shortlists."""

    backbone: str = ".cache/all-MiniLM-L6-v2"
    """Hub name or local folder of a BERT-like encoder."""
    item_tokens: int = 20
    """Word pieces of a candidate's text at most."""
    item_states: int = 0
    """States kept of a candidate, which then meets the history in the trained layers alone; what
    lies below was computed when the ranker was. With 0 every pair goes through all layers as one
    text: the joint cross-encoder, slow, the reference of quality."""
    title_tokens: int = 16
    """Word pieces of one title in the history at most."""
    history_tokens: int = 48
    """Word pieces of the history at most; the newest titles that fit."""
    negatives: int = 7
    """Items of the shortlist that each target is compared with."""
    ranked: int = 20
    """Candidates of a shortlist that are ranked when validating; serve with the same number."""
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(examples_per_epoch=2_000, batch_size=16)
    )
    """How the cross-encoder is fine-tuned; an example is a target with its negatives."""

    def __post_init__(self) -> None:
        for name in ("item_tokens", "title_tokens", "negatives", "ranked"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.item_states <= 255:
            raise ValueError(f"item_states must be within 0 and 255, got {self.item_states}")
        if self.item_states and self.training.trained_layers < 1:
            raise ValueError("trained_layers must be at least 1 where item_states are kept, got 0")
        if self.history_tokens < 3:
            raise ValueError(f"history_tokens must be at least 3, got {self.history_tokens}")


@dataclass(frozen=True, kw_only=True)
class ShortlistsConfig:
    """Shortlists that the ranker learns from."""

    training_points: int = 10_000
    """(history → next item) pairs of the training split that are recalled for; those whose target
    is recalled are kept."""
    valid_users: int = 300
    """Users of the validation split that the ranker's early stopping watches."""
    size: int = 100
    """Items a shortlist."""
    seed: int = 11
    """Seeds the choice of points and users."""

    def __post_init__(self) -> None:
        for name in ("training_points", "valid_users", "size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
