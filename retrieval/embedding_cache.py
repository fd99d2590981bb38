"""What need not be computed again, and embeddings that are kept."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from cachetools import TTLCache
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class CacheConfig:
    """What is kept, so that it need not be computed again; it changes no answer."""

    answers_mb: int = 64
    """Whole answers, of the same question about the same history, MB in all; 0 keeps none. A new
    event of the user, a change of items and another release each make another question of it."""
    shoppers: int = 10_000
    """Shoppers' embeddings, for other questions about the same history; 0 keeps none."""
    seconds: float = 300.0
    """How long any of it is kept at most, s."""

    def __post_init__(self) -> None:
        for name in ("answers_mb", "shoppers"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        if self.seconds <= 0:
            raise ValueError(f"seconds must be positive, got {self.seconds}")


NOTHING = CacheConfig(answers_mb=0, shoppers=0)


@dataclass
class Lookups:
    """How often something was found, and how often not."""

    hits: int = 0
    misses: int = 0


class KeptEmbeddings:
    """Rows of embeddings, each found by its key. Any thread may call."""

    def __init__(self, rows: int, seconds: float) -> None:
        """Begin with none.

        Args:
            rows: That are kept at most; the one that was not asked for for longest goes first.
            seconds: How long at most.
        """
        self._kept: TTLCache[bytes, NDArray[np.float32]] = TTLCache(rows, seconds)
        self._lock = threading.Lock()
        self.lookups = Lookups()
        """Since it was made"""

    def __call__(
        self,
        keys: Sequence[bytes | None],
        compute: Callable[[Sequence[int]], NDArray[np.float32]],
    ) -> NDArray[np.float32]:
        """(keys, dimension): what is kept, and what is computed of the others, all together.

        Args:
            keys: At least one; None of what is not to be kept.
            compute: Makes the rows of some places among the keys.
        """
        with self._lock:
            found = {
                place: row
                for place, key in enumerate(keys)
                if key is not None and (row := self._kept.get(key)) is not None
            }
            missing = [place for place in range(len(keys)) if place not in found]
            self.lookups.hits += len(found)
            self.lookups.misses += len(missing)
        if missing:
            found |= zip(missing, compute(missing), strict=True)
        with self._lock:
            for place in missing:
                if (key := keys[place]) is not None:
                    self._kept[key] = found[place].copy()
        return np.stack([found[place] for place in range(len(keys))])
