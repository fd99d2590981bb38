"""Options of the data stage; importable without polars."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from dataset.actions import check_weights

HOW, NOTES = "split", "notes"
"""Facts of the stage: how the interactions were split, and notes for the report."""
Duplicates = Literal["refuse", "first", "last"]
SplitStrategy = Literal["auto", "leave-one-out", "time-cut"]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """How the data stage turns interactions and items into histories and texts."""

    items: str = ""
    """File, folder of parts or glob of the items, relative to the dataset; empty for `items.*`."""
    interactions: str = ""
    """File, folder of parts or glob of the interactions; empty for `interactions.*`."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Our name of a column by the shop's name, in both tables: `{sku: item_id}`."""
    delimiter: str = ""
    """Separates the columns of CSV files; empty to detect it."""
    duplicates: Duplicates = "refuse"
    """Which row of an item id that comes more than once is used; `refuse` ends the stage."""
    fields: tuple[str, ...] = ("title", "brand", "category", "description")
    """Columns of an item's text, most important first; other text columns follow by name."""
    token_budget: int = 64
    """Most words and punctuation marks of an item's text."""
    user_core: int = 1
    """Least interactions of a user; 1 keeps all users."""
    item_core: int = 1
    """Least interactions of an item; 1 also keeps items without interactions."""
    earliest: str = "2000-01-01"
    """First day that a timestamp may be of; earlier ones, such as 0, stand for unknown times."""
    actions: Mapping[str, float] = field(default_factory=dict)
    """Weights of actions by name, which add to the common ones of docs/data.md: `{cart: 3, gift: 8,
    refund: -8, hide: -.inf}`. A negative one takes away, -.inf all; names ignore case."""
    basket_minutes: float = 0
    """Longest gap in time within a moment, minutes; interactions of one moment stay together."""
    split: SplitStrategy = "auto"
    """How to split if the interactions have no `split` column; `auto` is `time-cut` where there are
    times to cut by, and `leave-one-out` elsewhere."""
    valid_share: float = 0.1
    """Share of the interactions that `time-cut` validates on: the newest before the test's."""
    test_share: float = 0.1
    """Share of the interactions that `time-cut` tests on: the newest."""

    def __post_init__(self) -> None:
        if not self.fields or len(set(self.fields)) < len(self.fields):
            raise ValueError(f"fields must be distinct names, got {list(self.fields)}")
        if len(set(self.columns.values())) < len(self.columns):
            raise ValueError(f"columns must have distinct targets, got {dict(self.columns)}")
        check_weights(self.actions)
        if len(self.delimiter.encode()) > 1:
            raise ValueError(f"delimiter must be one ASCII character, got {self.delimiter!r}")
        for name in ("token_budget", "user_core", "item_core"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        try:
            date.fromisoformat(self.earliest)
        except ValueError as error:
            raise ValueError(
                f"earliest must be a date like 2000-01-31, got {self.earliest!r}"
            ) from error
        if not 0 <= self.basket_minutes < float("inf"):
            raise ValueError(f"basket_minutes must be at least 0, got {self.basket_minutes}")
        for name in ("valid_share", "test_share"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be between 0 and 1, got {getattr(self, name)}")
        if self.valid_share + self.test_share >= 1:
            raise ValueError(
                "valid_share + test_share must be below 1, "
                f"got {self.valid_share} and {self.test_share}"
            )
