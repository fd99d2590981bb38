"""Options of the data stage; importable without polars."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from dataset.actions import check_weights
from dataset.repeats import Repeated, check_repeats

HOW, NOTES = "split", "notes"
"""Facts of the stage: how the interactions were split, and notes for the report."""
DAY_MINUTES = 1_440
Duplicates = Literal["refuse", "first", "last", "merge"]
SplitStrategy = Literal["auto", "leave-one-out", "time-cut"]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """How the data stage turns interactions and items into histories and texts."""

    items: str = ""
    """File, folder of parts or glob of the items, relative to the dataset; empty for `items.*`."""
    interactions: str = ""
    """File, folder of parts or glob of the interactions; empty for `interactions.*`."""
    users: str = ""
    """File, folder of parts or glob of the users; empty for `users.*`, which may be missing."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Our name of a column by the shop's name, in all tables: `{sku: item_id}`. The tables may
    name a column differently: `{sku: item_id, product: item_id}`."""
    compute: Mapping[str, str] = field(default_factory=dict)
    """SQL expressions over the file's own columns, by the name of the column that gets the result:
    `{action: "CASE WHEN Quantity < 0 THEN 'refund' ELSE 'purchase' END"}`."""
    drop: Mapping[str, str] = field(default_factory=dict)
    """SQL conditions of rows to leave out, by the name under which the report counts them:
    `{samples: "UnitPrice <= 0"}`."""
    ignore: tuple[str, ...] = ()
    """Columns of the files that only expressions read."""
    delimiter: str = ""
    """Separates the columns of CSV files; empty to detect it."""
    duplicates: Duplicates = "refuse"
    """Which row of an item id that comes more than once is used. `merge` joins them: the most
    frequent text, the newest of everything else. `refuse` ends the stage."""
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
    until: str = ""
    """First day (UTC) whose interactions are left out with all later ones; empty for none."""
    without: tuple[str, ...] = ()
    """Days (UTC) whose interactions are left out, such as those of a bad export."""
    burst_seconds: float | None = 3
    """Longest gap between repeats of an action on an item that count once, seconds; null for no
    such cap."""
    daily_cap: int | None = 20
    """Most repeats of an action of a user on an item in a day; null for no such cap."""
    account_cap: int | None = 500
    """Mean number of moments in an active day from which an account may be a program's: it is left
    out if it is also far beyond the other users; null for no such cap."""
    actions: Mapping[str, float] = field(default_factory=dict)
    """Weights of actions by name, which add to the common ones of docs/data.md: `{cart: 3, gift: 8,
    refund: -8, hide: -.inf}`. A negative one takes away, -.inf all; names ignore case."""
    exclude: tuple[str, ...] = ()
    """Actions that exclude an item from later answers, by name: `[purchase]`; empty for those that
    weigh at least half as much as the strongest, so that viewed items come back."""
    repeats: Repeated = "exclude"
    """Whether excluded items may come back and be targets again: `exclude`, `allow`, or the number
    of days after their last such action."""
    basket_minutes: float = 0
    """Longest gap in time within a moment, minutes; interactions of one moment stay together."""
    split: SplitStrategy = "auto"
    """How to split if the interactions have no `split` column; `auto` is `time-cut` where there are
    times to cut by, and `leave-one-out` elsewhere."""
    valid_share: float = 0.2
    """Share of the interactions that `time-cut` validates on: the newest before the test's."""
    test_share: float = 0.1
    """Share of the interactions that `time-cut` tests on: the newest."""
    cuts: tuple[str, ...] = ()
    """First days (UTC) of validation and test by `time-cut`, instead of the two shares:
    `[2024-11-10, 2024-11-25]`."""

    def __post_init__(self) -> None:
        if not self.fields or len(set(self.fields)) < len(self.fields):
            raise ValueError(f"fields must be distinct names, got {list(self.fields)}")
        check_weights(self.actions)
        check_repeats(self.exclude, self.repeats)
        if len(self.delimiter.encode()) > 1:
            raise ValueError(f"delimiter must be one ASCII character, got {self.delimiter!r}")
        for name in ("token_budget", "user_core", "item_core"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("basket_minutes", "burst_seconds", "daily_cap", "account_cap"):
            if not 0 <= (getattr(self, name) or 0) < float("inf"):
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        if self.basket_minutes > DAY_MINUTES:
            raise ValueError(
                f"basket_minutes must be at most {DAY_MINUTES}, a day, got {self.basket_minutes}"
            )
        self._check_cuts()

    def _check_cuts(self) -> None:
        """Refuse days that are none, and splits that leave nothing."""
        days = [("earliest", self.earliest), *(("cuts", day) for day in self.cuts)]
        days += [("until", self.until)] if self.until else []
        for name, day in (*days, *(("without", day) for day in self.without)):
            try:
                date.fromisoformat(day)
            except ValueError as error:
                raise ValueError(f"{name} must be a date like 2000-01-31, got {day!r}") from error
        if self.cuts and (len(self.cuts) != 2 or not self.cuts[0] < self.cuts[1]):
            raise ValueError(f"cuts must be two days, the earlier first, got {list(self.cuts)}")
        for name in ("valid_share", "test_share"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be between 0 and 1, got {getattr(self, name)}")
        if self.valid_share + self.test_share >= 1:
            raise ValueError(
                "valid_share + test_share must be below 1, "
                f"got {self.valid_share} and {self.test_share}"
            )
