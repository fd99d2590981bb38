"""Options of the index stage; importable without FAISS."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Kind = Literal["exact", "ivf-pq", "ivf-sq", "ivf-flat", "hnsw", "cagra", "milvus"]
GPUs = Literal["auto", "replicas", "shards", "none"]


@dataclass(frozen=True, kw_only=True)
class NeighboursConfig:
    """Item-kNN as a second recall source, and how its scores are merged with the towers'.

    An item's score is cosine / temperature + weight × log(item-kNN score + floor), to which best
    sellers add their part.
    """

    kept: int = 200
    """Neighbours stored per item; 0 turns the source off."""
    shrinkage: float = 20.0
    """Shrinks pairs that few users share: the larger, the less such a pair counts."""
    decay: float = 0.7
    """Weight of a history item relative to the next newer one."""
    half_life: float | None = None
    """Days in which the weight of a history item halves, instead of `decay`, where interactions
    have times; 0 keeps `decay`. By default whichever serves validation users best."""
    weight: float | None = None
    """Weight of the logarithm of the item-kNN score, added to the towers' logit; by default the one
    that serves validation users best (`index.source_weight`)."""
    floor: float = 1e-3
    """Added to item-kNN scores, which are 0 for an item that shares no user with the history."""

    def __post_init__(self) -> None:
        for name in ("kept", "shrinkage"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("weight", "half_life"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} must not be negative, got {value}")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay must be in (0, 1], got {self.decay}")
        if self.floor <= 0:
            raise ValueError(f"floor must be positive, got {self.floor}")


@dataclass(frozen=True, kw_only=True)
class LexicalConfig:
    """Words as a recall source of searches: BM25 over the items' texts.

    With a search, an item's score is cosine / temperature + weight × the BM25 score, which is
    within 0 and 1 for the words, plus `pieces` × that of the pieces of words.
    """

    kept: bool = True
    """Whether searches recall by words, too."""
    weight: float | None = None
    """Weight of the score of words; 0 leaves searches to the towers. By default the one that serves
    searches of validation users best; of a log without searches, of words of their next item."""
    language: str = "english"
    """Language of the Snowball stemmer: `german`, `french`, …; empty to match words as they are."""
    k1: float = 0.9
    """How soon repeats of a word in a text count no more."""
    b: float = 0.4
    """How much long texts count less, from 0 to 1."""
    piece: int = 3
    """Characters of a piece of a word, so that typos match; 0 matches whole words alone."""
    pieces: float = 0.5
    """Weight of the pieces beside the words, at least 0."""

    def __post_init__(self) -> None:
        for name in ("k1", "piece", "pieces"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 0 <= self.b <= 1:
            raise ValueError(f"b must be within 0 and 1, got {self.b}")
        if self.weight is not None and self.weight < 0:
            raise ValueError(f"weight must not be negative, got {self.weight}")


@dataclass(frozen=True, kw_only=True)
class BestSellersConfig:
    """Best sellers as of now as a third recall source, where interactions have times.

    An item's score gains weight × log(purchases in the window + 1).
    """

    window: int | None = None
    """Days before now whose purchases count; by default those that serve validation users
    best."""
    weight: float | None = None
    """Weight of the logarithm; 0 turns the source off. By default the one that serves
    validation users best."""

    def __post_init__(self) -> None:
        if self.window is not None and self.window < 1:
            raise ValueError(f"window must be at least 1, got {self.window}")
        if self.weight is not None and self.weight < 0:
            raise ValueError(f"weight must not be negative, got {self.weight}")


@dataclass(frozen=True, kw_only=True)
class OwnItemsConfig:
    """What the shopper had before as a fourth recall source, where such items may come back.

    An item's score gains weight × log(1 + amount / 0.05). The amount is the sum of the weights of
    the shopper's interactions with it, which halve in 120 days.
    """

    weight: float | None = None
    """Weight of the logarithm; 0 turns the source off. By default the one that serves
    validation users best."""

    def __post_init__(self) -> None:
        if self.weight is not None and self.weight < 0:
            raise ValueError(f"weight must not be negative, got {self.weight}")


@dataclass(frozen=True, kw_only=True)
class MilvusConfig:
    """Where kind `milvus` stores embeddings; the token comes from SHORTLIST_MILVUS_TOKEN."""

    uri: str = ""
    """`http://host:19530` or `https://host/database`; to try it out, a local file that ends in
    `.db`, which milvus-lite opens in one process at a time."""
    prefix: str = "shortlist"
    """Prefix of all collection names; installations that share a database need different ones."""
    timeout_seconds: float = 10.0
    """Timeout of one request, in seconds."""

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
        """The URI; for a local file, its absolute path."""
        return self.uri if "://" in self.uri else str(Path(self.uri).resolve())


@dataclass(frozen=True, kw_only=True)
class IndexConfig:
    """Inner-product index over the item embeddings, and item-kNN neighbour lists."""

    kind: Literal["auto", Kind] = "auto"
    """`exact` compares a query with every item. `ivf-pq` scans inverted lists of product-quantised
    vectors and rescores the best with fp16 vectors. `ivf-sq` stores fp16 vectors in its inverted
    lists, on disk if memory is short; `ivf-flat` stores fp32 vectors. `hnsw` searches a graph;
    `cagra` searches a graph that a GPU built with cuVS, and is `hnsw` without cuVS; `milvus`
    searches a graph in a Milvus cluster. `auto` is `exact` up to `exact_up_to` items; above, it is
    `ivf-sq` on a GPU or if `ivf-pq` would not fit into memory, else `ivf-pq`."""
    exact_up_to: int = 50_000
    """Largest corpus that `auto` searches exactly."""
    nlist: int = 0
    """Number of inverted lists; 0 means the square root of the number of items."""
    target_recall: float = 0.98
    """Least recall@100 against exact search, over shoppers' queries. Tuning takes the fastest
    operating point that reaches it; if none does, the stage fails and writes nothing."""
    operating_point: str = ""
    """Operating point to use without tuning, whatever its recall, in FAISS's words: `nprobe=32`;
    for `ivf-pq` `nprobe=32,k_factor_rf=4`, for `hnsw` `efSearch=64`, for `milvus` `ef=64`."""
    memory_gib: float = 8.0
    """Peak memory of the build in GiB, memory-mapped files excluded; at least 0.75."""
    gpus: GPUs = "auto"
    """How the GPUs that FAISS sees share searches: with `replicas` each holds the whole index, with
    `shards` a part of it; `auto` means `replicas`, `none` uses no GPU. A graph is searched on the
    first GPU only. Without a GPU the CPU searches, with a warning unless `auto` or `none`."""
    milvus: MilvusConfig = field(default_factory=MilvusConfig)
    """Options of kind `milvus`."""
    neighbours: NeighboursConfig = field(default_factory=NeighboursConfig)
    """Options of the second recall source, item-kNN."""
    best_sellers: BestSellersConfig = field(default_factory=BestSellersConfig)
    """Options of the third recall source, best sellers as of now."""
    own_items: OwnItemsConfig = field(default_factory=OwnItemsConfig)
    """Options of the fourth recall source, what the shopper had before."""

    lexical: LexicalConfig = field(default_factory=LexicalConfig)
    """Options of the recall source of searches, words."""

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
