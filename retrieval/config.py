"""Options of the shortlists stage; importable without torch."""

from dataclasses import dataclass, field

from retrieval.features import feature_names


@dataclass(frozen=True, kw_only=True)
class ShortlistsConfig:
    """Shortlists that the ranker learns from."""

    learnt_users: int = 50_000
    """Users at most whose shortlists are learnt from; those with a target in it are kept."""
    valid_users: int = 5_000
    """Users at most whom the ranker is tuned on, of those that the towers were tuned on; nothing is
    learnt from any of these."""
    size: int = 200
    """Items a shortlist."""
    seed: int = 11
    """Seeds the choice of users."""
    features: tuple[str, ...] = field(init=False, default_factory=feature_names)
    """Names of all features, in order. Not an option: where they changed, lists are mined anew."""

    def __post_init__(self) -> None:
        for name in ("learnt_users", "valid_users", "size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
