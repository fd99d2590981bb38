"""Options of the data stage; importable without a data frame library."""

from dataclasses import dataclass
from typing import Literal

SplitStrategy = Literal["leave-one-out", "time-cut"]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """How interactions and items become histories and texts."""

    fields: tuple[str, ...] = ("title", "brand", "category", "description")
    """Columns of an item's text, most important first; other text columns follow by name."""
    token_budget: int = 64
    """Words and punctuation marks of an item's text at most."""
    user_core: int = 1
    """Interactions that a user must have to stay; 1 keeps everybody."""
    item_core: int = 1
    """Interactions that an item must have to stay; 1 keeps items nobody has met yet, too."""
    split: SplitStrategy = "leave-one-out"
    """How to split when the interactions have no `split` column."""
    valid_share: float = 0.1
    """Share of the interactions, newest but for the test ones, that `time-cut` validates on."""
    test_share: float = 0.1
    """Share of the interactions, newest of all, that `time-cut` tests on."""

    def __post_init__(self) -> None:
        if not self.fields or len(set(self.fields)) < len(self.fields):
            raise ValueError(f"fields must be distinct names, got {list(self.fields)}")
        for name in ("token_budget", "user_core", "item_core"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("valid_share", "test_share"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be between 0 and 1, got {getattr(self, name)}")
        if self.valid_share + self.test_share >= 1:
            raise ValueError(
                "valid_share and test_share must leave something to train on, "
                f"got {self.valid_share} and {self.test_share}"
            )
