"""Options of the index; importable without FAISS."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class IndexConfig:
    """Inner-product index over the item embeddings."""

    kind: Literal["auto", "exact", "approximate"] = "auto"
    """`exact` compares with every item; `auto` does so up to `exact_up_to` items."""
    exact_up_to: int = 50_000
    """Largest corpus that `auto` searches exactly."""
    nlist: int = 0
    """Inverted lists of the approximate index; 0 takes 4 × the square root of the items."""
    nprobe: int = 32
    """Inverted lists visited a query: more is slower and closer to exact."""

    def __post_init__(self) -> None:
        for name in ("exact_up_to", "nlist"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.nprobe < 1:
            raise ValueError(f"nprobe must be at least 1, got {self.nprobe}")

    def is_exact(self, items: int) -> bool:
        """Whether a corpus of this size is searched exactly."""
        return self.kind == "exact" or (self.kind == "auto" and items <= self.exact_up_to)
