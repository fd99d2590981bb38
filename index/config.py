"""Options of the index; importable without FAISS."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

GPUs = Literal["auto", "replicas", "shards", "none"]


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
class MilvusConfig:
    """Where kind `milvus` keeps embeddings; its token is SHORTLIST_MILVUS_TOKEN's."""

    uri: str = ""
    """`http://host:19530`, `https://host/database`, or, for a trial, a local file that ends
    in `.db`, which milvus-lite opens in one process at a time."""
    prefix: str = "shortlist"
    """Begins the names of all collections; whoever shares a database needs another one."""
    timeout_seconds: float = 10.0
    """What one request may take."""

    def __post_init__(self) -> None:
        url = re.fullmatch(r"https?://[^@\s]+", self.uri)
        if self.uri and not url and ("://" in self.uri or not self.uri.endswith(".db")):
            rule = "http(s)://host:port without a password, or a file that ends in .db"
            raise ValueError(f"uri must be {rule}, got {self.uri.rpartition('@')[2]!r}")
        if not re.fullmatch(r"[A-Za-z]\w{0,99}", self.prefix, re.ASCII):
            raise ValueError(f"prefix must be letters, digits and underscores, got {self.prefix!r}")
        if not self.timeout_seconds > 0:
            raise ValueError(f"timeout_seconds must be positive, got {self.timeout_seconds}")

    @property
    def place(self) -> str:
        """The URI; of a local file its whole path."""
        return self.uri if "://" in self.uri else str(Path(self.uri).resolve())


@dataclass(frozen=True, kw_only=True)
class IndexConfig:
    """Inner-product index over the item embeddings, and neighbour lists beside it."""

    kind: Literal["auto", "exact", "ivf-pq", "ivf-sq", "ivf-flat", "hnsw", "cagra", "milvus"] = (
        "auto"
    )
    """`exact` compares with every item. `ivf-pq` visits inverted lists of product-quantised items
    and compares the best with fp16 vectors; `ivf-sq` holds fp16 vectors in the lists, on disk where
    memory is short, `ivf-flat` fp32 vectors; `hnsw` follows a graph, `cagra` one that a GPU built
    with cuVS (`hnsw` elsewhere), `milvus` one in a cluster. `auto` is exact up to `exact_up_to`
    items, `ivf-pq` above, and `ivf-sq` on a GPU or where `ivf-pq` would not fit into memory."""
    exact_up_to: int = 50_000
    """Largest corpus that `auto` searches exactly."""
    nlist: int = 0
    """Inverted lists; 0 takes the square root of the items."""
    target_recall: float = 0.98
    """Share of exact search's first 100 that shoppers must find: of the operating points
    that do, the fastest is taken, and where none does, nothing is written."""
    operating_point: str = ""
    """Taken untuned whatever it recalls, in FAISS's words: `nprobe=32`, of `ivf-pq`
    `nprobe=32,k_factor_rf=4`, of `hnsw` `efSearch=64`, of `milvus` `ef=64`."""
    memory_gib: float = 8.0
    """What building may occupy at once, in GiB, mapped files apart; at least 0.75."""
    gpus: GPUs = "auto"
    """How GPUs take part, where FAISS sees any: with `replicas` each searches the whole index, with
    `shards` a part of it; `auto` is `replicas`, `none` leaves them to the models. A graph lies on
    the first alone. Without a GPU the CPU searches, with a warning unless `auto` or `none`."""
    milvus: MilvusConfig = field(default_factory=MilvusConfig)
    """Of kind `milvus`."""
    neighbours: NeighboursConfig = field(default_factory=NeighboursConfig)
    """The second source of recall."""

    def __post_init__(self) -> None:
        for name in ("exact_up_to", "nlist"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.kind == "milvus" and not self.milvus.uri:
            raise ValueError("milvus.uri must be given for kind 'milvus', got ''")
        if not 0 < self.target_recall <= 1:
            raise ValueError(f"target_recall must be in (0, 1], got {self.target_recall}")
        if self.memory_gib < 0.75:
            raise ValueError(f"memory_gib must be at least 0.75, got {self.memory_gib}")
