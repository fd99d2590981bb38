"""Options of the benchmark; importable without torch."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """Recall, NDCG, MRR and coverage of the cascade and of simple baselines."""

    max_users: int = 6_000
    """Users of the test split that are scored, where the dataset does not name them itself."""
    examples: int = 20
    """Users whose lists the report shows."""
    shrinkage: float = 20.0
    """Shrinkage of item-kNN's cosine."""
    decay: float = 0.7
    """Weight of a history item relative to the next younger one in item-kNN."""
    seed: int = 5
    """Seeds the choice of users and the bootstrap."""

    def __post_init__(self) -> None:
        if self.max_users < 1:
            raise ValueError(f"max_users must be at least 1, got {self.max_users}")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay must be in (0, 1], got {self.decay}")
