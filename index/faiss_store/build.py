"""Builds a FAISS index: trains it on a sample and adds items in blocks, within a memory budget."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from index.config import IndexConfig, Kind
from index.faiss_store.disk_lists import map_lists, merge_lists
from index.faiss_store.gpus import built_graph, to_cpu, to_first, used, warn_cpu_fallback
from index.faiss_store.installation import builds_graphs, load_faiss
from index.faiss_store.store import FaissStore, write
from index.vectors import Vectors, blocks, require_unit_length, sample

logger = logging.getLogger(__name__)
LISTS = "index.faiss_store.disk_lists"
"""File of the inverted lists, next to the index, if they are too large for memory."""
LINKS = 32
"""HNSW's `M`: neighbours of an item in the upper layers; twice as many in the lowest."""
CODES, CODES_ON_GPU = 16, 256
"""Number of values of a product quantiser's code: 4 bits on a CPU, 8 bits on a GPU."""
CODE_COUNTS = (96, 64, 56, 48, 40, 32, 28, 24, 20, 16, 12, 8, 4, 3, 2, 1)
CODE_WIDTHS = (1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32)
"""Codes per vector, and dimensions per code, that FAISS's GPU kernels are compiled for."""
WHOLE_LISTS = ("ivf-sq", "ivf-flat")
"""Kinds that consist of inverted lists only, which may be on disk."""
TRAINING_POINTS_PER_CENTRE = 64
WORKING = 512 << 20
"""Bytes reserved for the interpreter, for blocks, and for training in addition to its sample."""


def build_index(embeddings: Vectors, config: IndexConfig, folder: Path) -> FaissStore:
    """Build a FAISS index over item embeddings; position i becomes row i.

    Args:
        embeddings: (items, dimension) of length 1; pages of a memory map are freed block by block.
        config: Kind, memory budget and use of GPUs.
        folder: Where to write inverted lists that do not fit into memory.

    Raises:
        ValueError: empty, wrong shape, not finite, not of unit length, or too large for the memory
            budget.
        OSError: the disk is full.
    """
    require_unit_length(embeddings)
    items, dimension = embeddings.shape
    kind = chosen_kind(config, items, dimension)
    if config.kind not in (kind, "auto"):
        logger.warning("building %r, because %r needs a GPU with cuVS", kind, config.kind)
    if kind == "ivf-pq" and items < CODES:
        raise ValueError(f"embeddings must have at least {CODES} rows for 'ivf-pq', got {items}")
    at_once = _items_within(kind, dimension, config)
    if items > at_once and kind not in WHOLE_LISTS:
        needed = (items * _bytes_per_item(kind, dimension) + WORKING) * 8 / 7 / 2**30
        raise ValueError(
            f"memory_gib must be at least {needed:.1f} for {kind!r} over {items:,} items, got "
            f"{config.memory_gib}; kind 'ivf-sq' needs less, as it is built in parts"
        )
    if kind == "cagra":
        return FaissStore(built_graph(embeddings, 2 * LINKS), config.gpus)
    on_gpu = used(config.gpus)
    index = _empty(kind, embeddings, list_count(config, items), on_gpu=on_gpu)
    if not index.is_trained:
        codes = CODES_ON_GPU if kind == "ivf-pq" and on_gpu else 0
        centres = max(list_count(config, items), codes)
        points = min(
            centres * TRAINING_POINTS_PER_CENTRE,
            items,
            _budget(config) // 8 // (4 * dimension),
        )
        _train(index, sample(embeddings, points), on_gpu=on_gpu)
    if items <= at_once:
        _reserve(kind, index, items)
        index = _filled(index, embeddings, range(items), on_gpu=on_gpu)
    else:
        _add_by_shards(index, embeddings, at_once, folder, _budget(config), on_gpu=on_gpu)
    if kind in WHOLE_LISTS:
        index.make_direct_map()
    return FaissStore(index, config.gpus)


def chosen_kind(config: IndexConfig, items: int, dimension: int) -> Kind:
    """The kind to build; `auto` depends on the corpus size, the memory budget and the GPUs."""
    if config.kind == "cagra" and not (used(config.gpus) and builds_graphs()):
        return "hnsw"
    if config.kind != "auto":
        return config.kind
    if items <= config.exact_up_to:
        return "exact"
    fits = items <= _items_within("ivf-pq", dimension, config)
    return "ivf-pq" if fits and not used(config.gpus) else "ivf-sq"


def list_count(config: IndexConfig, items: int) -> int:
    """Number of inverted lists for a corpus."""
    return min(config.nlist or round(items**0.5), items)


def _empty(kind: Kind, embeddings: Vectors, nlist: int, *, on_gpu: bool) -> Any:
    faiss, (items, dimension) = load_faiss(), embeddings.shape
    codes = _codes_on_gpu(dimension) if on_gpu and items >= CODES_ON_GPU else None
    factory = {
        "exact": "Flat",
        "ivf-pq": f"IVF{nlist},{codes or _fast_codes(dimension)},Refine(SQfp16)",
        "ivf-sq": f"IVF{nlist},SQfp16",
        "ivf-flat": f"IVF{nlist},Flat",
        "hnsw": f"HNSW{LINKS}",
    }[kind]
    index = faiss.index_factory(dimension, factory, faiss.METRIC_INNER_PRODUCT)
    if kind.startswith("ivf"):
        faiss.extract_index_ivf(index).cp.min_points_per_centroid = 1
    return index


def _fast_codes(dimension: int) -> str:
    """Factory string of a product quantiser with 4-bit codes, which a CPU scans in registers."""
    widest = max(1, dimension // 2)
    count = next(count for count in range(widest, 0, -1) if dimension % count == 0)
    return f"PQ{count}x4fs"


def _codes_on_gpu(dimension: int) -> str | None:
    """Factory string of a product quantiser with 8-bit codes for a GPU; None if no width fits."""
    fits = (n for n in CODE_COUNTS if dimension % n == 0 and dimension // n in CODE_WIDTHS)
    count = next(fits, None)
    return None if count is None else f"PQ{count}np"


def _train(index: Any, points: NDArray[np.float32], *, on_gpu: bool) -> None:
    """Train the centres of the lists and the product quantiser on a sample of the corpus."""
    faiss = load_faiss()
    ivf = faiss.extract_index_ivf(index)
    if on_gpu:
        try:
            assignment = to_first(faiss.IndexFlatIP(index.d))
            ivf.clustering_index = assignment
            index.train(points)
        except RuntimeError as error:
            warn_cpu_fallback(error)
        ivf.clustering_index = None
    if not index.is_trained:
        index.train(points)


def _bytes_per_item(kind: Kind, dimension: int) -> int:
    """Peak bytes per item during the build; a growing array counts twice, as growing copies it."""
    return {
        "exact": 4 * dimension,
        "ivf-pq": 2 * dimension + 2 * (dimension // 4 + 8),
        "ivf-sq": 2 * (2 * dimension + 8) + 8,
        "ivf-flat": 2 * (4 * dimension + 8) + 8,
        "hnsw": 4 * dimension + 2 * 4 * (2 * LINKS + 8),
        "cagra": 2 * 4 * dimension + 2 * 4 * 2 * LINKS,
    }[kind]


def _budget(config: IndexConfig) -> int:
    return int(config.memory_gib * 2**30)


def _items_within(kind: Kind, dimension: int, config: IndexConfig) -> int:
    """Items that fit into the memory budget, of which an eighth is for the training sample."""
    available = _budget(config) * 7 // 8 - WORKING
    return available // _bytes_per_item(kind, dimension)


def _reserve(kind: Kind, index: Any, items: int) -> None:
    """Reserve memory for all vectors at once, so that adding items never copies them."""
    if kind in WHOLE_LISTS:
        return
    part = {"ivf-pq": "refine_index", "hnsw": "storage"}.get(kind)
    flat = load_faiss().downcast_index(getattr(index, part)) if part else index
    flat.codes.resize(items * flat.code_size)
    flat.codes.resize(0)


def _filled(
    index: Any, embeddings: Vectors, rows: range, *, on_gpu: bool, part: bool = False
) -> Any:
    """The index with consecutive rows added, by a GPU if possible.

    Args:
        index: Trained and empty, on the CPU.
        embeddings: (items, dimension) embeddings of the corpus.
        rows: Rows to add.
        on_gpu: Whether there is a GPU.
        part: Whether the index holds a part of the corpus, so that row numbers must be passed.
    """
    faiss = load_faiss()
    if on_gpu and isinstance(index, faiss.IndexIVFFlat | faiss.IndexIVFScalarQuantizer):
        try:
            clone = to_first(index)
            _add(clone, embeddings, rows, part=part)
            return to_cpu(clone)
        except RuntimeError as error:
            warn_cpu_fallback(error)
            clone = None  # frees its GPU memory
    _add(index, embeddings, rows, part=part)
    return index


def _add(index: Any, embeddings: Vectors, rows: range, *, part: bool) -> None:
    with tqdm(total=len(rows), desc="index", unit="item", leave=False) as progress:
        for block in blocks(embeddings, rows.start, rows.stop):
            if part:
                index.add_with_ids(block, rows.start + progress.n + np.arange(len(block)))
            else:
                index.add(block)
            progress.update(len(block))


def _add_by_shards(
    index: Any, embeddings: Vectors, at_once: int, folder: Path, budget: int, *, on_gpu: bool
) -> None:
    """Build shards that fit into memory, and merge them into inverted lists on disk."""
    items = len(embeddings)
    shards: list[Path] = []
    for start in range(0, items, at_once):
        rows = range(start, min(start + at_once, items))
        shards.append(folder / f"shard-{len(shards)}.faiss")
        write(_filled(index, embeddings, rows, on_gpu=on_gpu, part=True), shards[-1])
        index.reset()
    sizes = merge_lists(shards, folder / LISTS, index.nlist, at_once=budget // 8)
    for shard in shards:
        shard.unlink()
    map_lists(index, folder / LISTS, sizes)
