"""Options of the benchmark; importable without torch."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """Options of scoring the cascade and simple baselines by recall, NDCG, MRR and coverage."""

    max_users: int = 6_000
    """Most users of the test split that are scored; a dataset may name its users instead."""
    examples: int = 20
    """Users whose lists the report shows."""
    timed: int = 200
    """Cases whose requests are timed with fewer ranked candidates."""
    category: str = ""
    """Attribute of the items that diversity and calibration are measured by; empty for the first
    one that groups items, or the words of titles that name kinds."""
    varied: int = 1_000
    """Cases whose lists are reordered to show what variety costs."""
    explained: int = 200
    """Cases with a target to rank by which the ranker's features are weighed; 0 for none."""
    shrinkage: float = 20.0
    """Shrinkage of item-kNN's cosine."""
    decay: float = 0.7
    """Weight in item-kNN of a history item relative to the next newer item."""
    seed: int = 5
    """Seed for sampling users and for the bootstrap."""

    def __post_init__(self) -> None:
        if self.max_users < 1:
            raise ValueError(f"max_users must be at least 1, got {self.max_users}")
        for name, least in (("timed", 1), ("varied", 1), ("explained", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay must be in (0, 1], got {self.decay}")
