"""Cache of users' embeddings, and the options of all caches."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from cachetools import TTLCache
from numpy.typing import NDArray


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


class EmbeddingCache:
    """Caches embeddings by key. Thread-safe."""

    def __init__(self, rows: int, seconds: float) -> None:
        """Create an empty cache.

        Args:
            rows: Most embeddings that are cached; a full cache evicts the least recently used.
            seconds: Lifetime of an entry, s.
        """
        self._cache: TTLCache[bytes, NDArray[np.float32]] = TTLCache(rows, seconds)
        self._lock = threading.Lock()
        self.lookups = CacheLookups()
        """Lookups since the cache was created"""

    def __call__(
        self,
        keys: Sequence[bytes | None],
        compute: Callable[[Sequence[int]], NDArray[np.float32]],
    ) -> NDArray[np.float32]:
        """(keys, dimension) embeddings: cached ones, and the others computed in one call.

        Args:
            keys: At least one; None for an embedding that must not be cached.
            compute: Computes the embeddings for the given places among the keys.
        """
        with self._lock:
            found = {
                place: row
                for place, key in enumerate(keys)
                if key is not None and (row := self._cache.get(key)) is not None
            }
            missing = [place for place in range(len(keys)) if place not in found]
            self.lookups.hits += len(found)
            self.lookups.misses += len(missing)
        if missing:
            found |= zip(missing, compute(missing), strict=True)
        with self._lock:
            for place in missing:
                if (key := keys[place]) is not None:
                    self._cache[key] = found[place].copy()
        return np.stack([found[place] for place in range(len(keys))])
