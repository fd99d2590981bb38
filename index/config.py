"""Options of the index; importable without FAISS."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class NeighboursConfig:
    """Item-kNN as a second source of recall, and how it is merged with the towers.

    An item's score is cosine / temperature + weight × log(neighbours' score + floor).
    """

    kept: int = 200
    """Neighbours an item; 0 switches the source off."""
    shrinkage: float = 20.0
    """The larger, the less a pair counts that few users share."""
    decay: float = 0.7
    """Weight of an item of a history relative to the next younger one."""
    weight: float | None = None
    """What the logarithm of the neighbours' score counts beside the towers' logit; by default
    whatever recalls most for validation users."""
    floor: float = 1e-3
    """Neighbours' score of an item that shares no user with the history."""

    def __post_init__(self) -> None:
        for name in ("kept", "shrinkage"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.weight is not None and self.weight < 0:
            raise ValueError(f"weight must not be negative, got {self.weight}")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay must be in (0, 1], got {self.decay}")
        if self.floor <= 0:
            raise ValueError(f"floor must be positive, got {self.floor}")


@dataclass(frozen=True, kw_only=True)
class IndexConfig:
    """Inner-product index over the item embeddings, and neighbour lists beside it."""

    kind: Literal["auto", "exact", "approximate"] = "auto"
    """`exact` compares with every item; `auto` does so up to `exact_up_to` items."""
    exact_up_to: int = 50_000
    """Largest corpus that `auto` searches exactly."""
    nlist: int = 0
    """Inverted lists of the approximate index; 0 takes 4 × the square root of the items."""
    nprobe: int = 32
    """Inverted lists visited a query: more is slower and closer to exact."""
    neighbours: NeighboursConfig = field(default_factory=NeighboursConfig)
    """The second source of recall."""

    def __post_init__(self) -> None:
        for name in ("exact_up_to", "nlist"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.nprobe < 1:
            raise ValueError(f"nprobe must be at least 1, got {self.nprobe}")

    def is_exact(self, items: int) -> bool:
        """Whether a corpus of this size is searched exactly."""
        return self.kind == "exact" or (self.kind == "auto" and items <= self.exact_up_to)
