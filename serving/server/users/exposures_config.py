"""Which answers are logged as exposures, and how long they are retained."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ExposuresConfig:
    """Which answers are logged beside the events, and how many are retained."""

    rate: float = 0.0
    """Share of the users whose answers are logged, 0 to 1: a user's always or never, a stranger's
    by the request. 0 logs none."""
    days: float = 30.0
    """Age at which exposures are removed, days."""
    max_rows: int = 1_000_000
    """Exposures that are retained; beyond it, the oldest are removed. One of 20 items takes about
    600 bytes."""

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate must be within 0 and 1, got {self.rate:g}")
        if not 0 < self.days < math.inf:
            raise ValueError(f"days must be positive, got {self.days:g}")
        if self.max_rows < 1:
            raise ValueError(f"max_rows must be at least 1, got {self.max_rows}")
