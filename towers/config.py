"""Options of the towers; importable without torch."""

from dataclasses import dataclass, field

from backbone.config import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class TowersConfig:
    """Two BERT towers, trained contrastively."""

    backbone: str = ".cache/all-MiniLM-L6-v2"
    """Hub name or local folder of a BERT-like encoder."""
    dimension: int = 384
    """Length of an embedding."""
    item_tokens: int = 32
    """Word pieces of an item's text at most."""
    title_tokens: int = 16
    """Word pieces of one title in a history at most."""
    history_tokens: int = 64
    """Word pieces of a history at most; the newest titles that fit."""
    temperature: float = 0.05
    """Divides the logits at the start; then learned."""
    valid_users: int = 2_000
    """Users of the validation split that early stopping watches."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """How the towers are fine-tuned."""

    def __post_init__(self) -> None:
        for name in ("dimension", "title_tokens", "valid_users"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("item_tokens", "history_tokens"):
            if getattr(self, name) < 3:
                raise ValueError(f"{name} must be at least 3, got {getattr(self, name)}")
        if not 0.01 <= self.temperature <= 1:
            raise ValueError(f"temperature must be in [0.01, 1], got {self.temperature}")
