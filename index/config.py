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

    kind: Literal["auto", "exact", "ivf-pq", "ivf-sq", "hnsw"] = "auto"
    """`exact` compares with every item. `ivf-pq` visits inverted lists of product-quantised items
    and compares the best with fp16 vectors; `ivf-sq` holds fp16 vectors in the lists, on disk where
    memory is short; `hnsw` follows a graph. `auto` is exact up to `exact_up_to` items, `ivf-pq`
    above, and `ivf-sq` on a GPU or where `ivf-pq` would not fit into memory."""
    exact_up_to: int = 50_000
    """Largest corpus that `auto` searches exactly."""
    nlist: int = 0
    """Inverted lists; 0 takes the square root of the items."""
    target_recall: float = 0.98
    """Share of exact search's first 100 that shoppers must find: of the operating points
    that do, the fastest is taken, and where none does, nothing is written."""
    operating_point: str = ""
    """Taken untuned whatever it recalls, in FAISS's words: `nprobe=32`, of `ivf-pq`
    `nprobe=32,k_factor_rf=4`, of `hnsw` `efSearch=64`."""
    memory_gib: float = 8.0
    """What building may occupy at once, in GiB; at least 0.75."""
    neighbours: NeighboursConfig = field(default_factory=NeighboursConfig)
    """The second source of recall."""

    def __post_init__(self) -> None:
        for name in ("exact_up_to", "nlist"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 0 < self.target_recall <= 1:
            raise ValueError(f"target_recall must be in (0, 1], got {self.target_recall}")
        if self.memory_gib < 0.75:
            raise ValueError(f"memory_gib must be at least 0.75, got {self.memory_gib}")
