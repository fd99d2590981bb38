"""Options and counters of the caches; importable without numpy."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CacheConfig:
    """Sizes and lifetime of the caches; no cache changes an answer."""

    answers_mb: int = 64
    """Size of the answer cache, MB; 0 disables it. It repeats an answer to the same request about
    the same history. A new event of the user, a change of items or a new release makes the cached
    answer unreachable."""
    shoppers: int = 10_000
    """Shoppers' embeddings that are cached, for other requests about the same history; 0 disables
    this cache."""
    seconds: float = 300.0
    """Longest lifetime of a cached entry, s."""

    def __post_init__(self) -> None:
        for name in ("answers_mb", "shoppers"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        if self.seconds <= 0:
            raise ValueError(f"seconds must be positive, got {self.seconds}")


NO_CACHE = CacheConfig(answers_mb=0, shoppers=0)


@dataclass
class CacheLookups:
    """Hits and misses of a cache."""

    hits: int = 0
    misses: int = 0
