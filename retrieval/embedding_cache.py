"""Cache of users' embeddings."""

import threading
from collections.abc import Callable, Sequence

import numpy as np
from cachetools import TTLCache
from numpy.typing import NDArray

from retrieval.cache_config import CacheLookups


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
