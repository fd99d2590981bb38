"""Builds an index of any kind: trained on a sample, filled in blocks, within a budget of memory."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from index.config import IndexConfig
from index.installation import gpu_count, load_faiss
from index.item_index import ItemIndex, write
from index.lists import map_lists, merge_lists
from index.vectors import Vectors, blocks, require_unit_length, sample

Kind = Literal["exact", "ivf-pq", "ivf-sq", "hnsw", "milvus"]
LISTS = "index.lists"
"""Beside the index, its inverted lists where they were too large for memory."""
LINKS = 32
"""Neighbours of an item in the graph's upper layers; twice as many in the lowest."""
CODES = 16
"""Values of a product quantiser's code of 4 bits."""
TRAINING_POINTS_PER_LIST = 64
WORKING = 512 << 20
"""Bytes of the interpreter, of blocks, and of what training holds beside its sample."""


def build_index(embeddings: Vectors, config: IndexConfig, folder: Path) -> ItemIndex:
    """Build an index of FAISS over item embeddings; position i becomes row i.

    Args:
        embeddings: (items, dimension) of length 1; may be memory-mapped, and is then given back
            to the kernel block by block.
        config: Kind, and what building may occupy.
        folder: Where the lists go when they do not fit into memory.

    Raises:
        ValueError: empty, wrong shape, not finite or not of unit length, or too large for the
            budget.
        OSError: the disk is full.
    """
    require_unit_length(embeddings)
    items, dimension = embeddings.shape
    kind = chosen_kind(config, items, dimension)
    if kind == "ivf-pq" and items < CODES:
        raise ValueError(f"embeddings must be at least {CODES} for 'ivf-pq', got {items}")
    index = _empty(kind, dimension, list_count(config, items))
    if not index.is_trained:
        points = min(
            list_count(config, items) * TRAINING_POINTS_PER_LIST,
            items,
            _budget(config) // 8 // (4 * dimension),
        )
        index.train(sample(embeddings, points))
    at_once = _items_within(kind, dimension, config)
    if items <= at_once:
        _reserve(kind, index, items)
        _add(index, embeddings, 0, items)
    elif kind == "ivf-sq":
        _add_by_shards(index, embeddings, at_once, folder, _budget(config))
    else:
        needed = (items * _bytes_per_item(kind, dimension) + WORKING) * 8 / 7 / 2**30
        raise ValueError(
            f"memory_gib must be at least {needed:.1f} for {kind!r} over {items:,} items, got "
            f"{config.memory_gib}; kind 'ivf-sq' is built in parts and needs less"
        )
    if kind == "ivf-sq":
        index.make_direct_map()
    return ItemIndex(index)


def chosen_kind(config: IndexConfig, items: int, dimension: int) -> Kind:
    """The kind that is built; `auto` looks at the corpus, the budget and the machine."""
    if config.kind != "auto":
        return config.kind
    if items <= config.exact_up_to:
        return "exact"
    fits = items <= _items_within("ivf-pq", dimension, config)
    return "ivf-pq" if fits and not gpu_count() else "ivf-sq"


def list_count(config: IndexConfig, items: int) -> int:
    """Inverted lists over a corpus."""
    return min(config.nlist or round(items**0.5), items)


def _empty(kind: Kind, dimension: int, nlist: int) -> Any:
    faiss = load_faiss()
    widest = max(1, dimension // 2)
    count = next(count for count in range(widest, 0, -1) if dimension % count == 0)
    factory = {
        "exact": "Flat",
        "ivf-pq": f"IVF{nlist},PQ{count}x4fs,Refine(SQfp16)",
        "ivf-sq": f"IVF{nlist},SQfp16",
        "hnsw": f"HNSW{LINKS}",
    }[kind]
    index = faiss.index_factory(dimension, factory, faiss.METRIC_INNER_PRODUCT)
    if kind.startswith("ivf"):
        faiss.extract_index_ivf(index).cp.min_points_per_centroid = 1
    return index


def _bytes_per_item(kind: Kind, dimension: int) -> int:
    """Peak while building: what grows is copied, so its old and its new place count."""
    return {
        "exact": 4 * dimension,
        "ivf-pq": 2 * dimension + 2 * (dimension // 4 + 8),
        "ivf-sq": 2 * (2 * dimension + 8) + 8,
        "hnsw": 4 * dimension + 2 * 4 * (2 * LINKS + 8),
    }[kind]


def _budget(config: IndexConfig) -> int:
    return int(config.memory_gib * 2**30)


def _items_within(kind: Kind, dimension: int, config: IndexConfig) -> int:
    """How many items can be added before the budget is spent, an eighth of it on the sample."""
    left = _budget(config) * 7 // 8 - WORKING
    return left // _bytes_per_item(kind, dimension)


def _reserve(kind: Kind, index: Any, items: int) -> None:
    """Claim the place of whole vectors at once, so that it need not be copied to grow."""
    if kind == "ivf-sq":
        return
    part = {"ivf-pq": "refine_index", "hnsw": "storage"}.get(kind)
    flat = load_faiss().downcast_index(getattr(index, part)) if part else index
    flat.codes.resize(items * flat.code_size)
    flat.codes.resize(0)


def _add(index: Any, embeddings: Vectors, start: int, stop: int, *, part: bool = False) -> None:
    """Add consecutive rows; a `part` of the corpus is told their numbers."""
    with tqdm(total=stop - start, desc="index", unit="item", leave=False) as progress:
        for block in blocks(embeddings, start, stop):
            if part:
                index.add_with_ids(block, start + progress.n + np.arange(len(block)))
            else:
                index.add(block)
            progress.update(len(block))


def _add_by_shards(
    index: Any, embeddings: Vectors, at_once: int, folder: Path, budget: int
) -> None:
    """Write as many items as memory holds, and again, and merge the parts into lists on disk."""
    items = len(embeddings)
    shards: list[Path] = []
    for start in range(0, items, at_once):
        _add(index, embeddings, start, min(start + at_once, items), part=True)
        shards.append(folder / f"shard-{len(shards)}.faiss")
        write(index, shards[-1])
        index.reset()
    sizes = merge_lists(shards, folder / LISTS, index.nlist, at_once=budget // 8)
    for shard in shards:
        shard.unlink()
    map_lists(index, folder / LISTS, sizes)
