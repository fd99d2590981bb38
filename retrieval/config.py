"""Options of the shortlists stage; importable without torch."""

from dataclasses import dataclass, field

from retrieval.features import feature_names


@dataclass(frozen=True, kw_only=True)
class ShortlistsConfig:
    """Shortlists that the ranker is trained, tuned and judged on."""

    learnt_users: int = 50_000
    """Most moments of users whose shortlists the ranker is trained on; a list without a target is
    dropped."""
    valid_users: int = 5_000
    """Most moments that choose the ranker's pass, and most of other users that decide whether
    ranking pays."""
    size: int = 200
    """Items per shortlist."""
    seed: int = 11
    """Seed for sampling moments."""
    features: tuple[str, ...] = field(init=False, default_factory=feature_names)
    """Names of all features, in order. Not an option: a change makes the stage mine new lists."""

    def __post_init__(self) -> None:
        for name in ("learnt_users", "valid_users", "size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
