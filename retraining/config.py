"""Options of a night."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from retraining.day_checks import DayLimits
from retraining.gate import GateLimits
from serving.server.users.events_config import EventsConfig


@dataclass(frozen=True, kw_only=True)
class NightlyConfig:
    """What a night learns from, how it trains, and when its release goes live."""

    configs: Path = Path("configs")
    """Folder with the YAML files of the stages; what it lacks is taken from `configs`."""
    events: EventsConfig = field(default_factory=EventsConfig)
    """Where servers record events, as for `serve`."""
    until: str = ""
    """First day (UTC) that is not learnt: `2026-11-29`. By default today; for an archive, whose
    newest event is a week old, the day after that event."""
    test_days: int = 1
    """Newest days that no model has learnt, on which the new models are compared with the live
    release."""
    valid_share: float = 0.2
    """Share of the interactions before these days that a full night validates on."""
    full_every: int = 7
    """A full night, in which everything is trained anew, follows so many nights after the last one;
    1 makes every night a full one."""
    warm_share: float = 0.3
    """Share of a full training's examples in other nights, whose towers go on from the live
    release."""
    scored_users: int = 2_000
    """Most moments of shoppers that are compared."""
    days: DayLimits = field(default_factory=DayLimits)
    """When a day's data are held back."""
    gate: GateLimits = field(default_factory=GateLimits)
    """When a release goes live."""
    keep_releases: int = 5
    """Newest releases to keep."""
    keep_nights: int = 60
    """Newest reports of nights to keep."""

    def __post_init__(self) -> None:
        for name in ("test_days", "full_every", "scored_users", "keep_nights"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("valid_share", "warm_share"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in (0, 1], got {getattr(self, name)}")
        if self.keep_releases < 2:
            raise ValueError(f"keep_releases must be at least 2, got {self.keep_releases}")
        if self.until:
            try:
                date.fromisoformat(self.until)
            except ValueError as error:
                raise ValueError(
                    f"until must be a date like 2026-01-31, got {self.until!r}"
                ) from error
