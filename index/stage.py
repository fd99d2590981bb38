"""The index stage: the sources of recall, built and measured."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dataset.arrays import TRAIN, Dataset, load_dataset
from index.config import IndexConfig, NeighboursConfig
from index.item_index import ItemIndex, build_index
from index.merging import recall_by_weight
from index.neighbours import Neighbours, nearest_neighbours
from index.sources import WEIGHT, Sources
from lineage.manifest import read_manifest

EMBEDDINGS = "item_embeddings.npy"
VALID_USERS, VALID_EMBEDDINGS = "valid_users.npy", "valid_embeddings.npy"
PROBES = 500
SHORTLIST = 100


def build(config: IndexConfig, root: Path, folder: Path) -> Mapping[str, Any]:
    """Build the index of a finished towers stage, and the items' neighbour lists.

    Args:
        config: Kind of index.
        root: Folder of the dataset's stages.
        folder: Where to write.

    Returns:
        Facts for the manifest: size, kind, recall@100 against exact search, latency in ms.
    """
    embeddings = np.load(root / "towers" / EMBEDDINGS, mmap_mode="r")
    index = build_index(embeddings, config)
    index.save(folder)
    facts: dict[str, Any] = {}
    towers = read_manifest(root / "towers", "towers").facts
    if config.neighbours.kept:
        data = load_dataset(root / "data")
        neighbours = _neighbours(config.neighbours, data)
        neighbours.save(folder)
        facts["neighbour pairs"] = len(neighbours.rows)
        facts[WEIGHT] = config.neighbours.weight
        if config.neighbours.weight is None:
            recalls = recall_by_weight(
                Sources(
                    index,
                    neighbours,
                    temperature=towers["temperature"],
                    config=replace(config.neighbours, weight=0.0),
                ),
                np.load(root / "towers" / VALID_EMBEDDINGS),
                data.cases("valid").of_users(np.load(root / "towers" / VALID_USERS)),
            )
            facts[WEIGHT] = max(recalls, key=lambda weight: (recalls[weight], -weight))
            facts["recall by weight"] = {str(w): round(r, 4) for w, r in recalls.items()}
    recall, milliseconds = _operating_point(index, embeddings)
    return {
        "items": len(index),
        "dimension": index.dimension,
        "metric": towers["metric"],
        "kind": "exact" if config.is_exact(len(index)) else "approximate",
        "recall@100 against exact": round(recall, 4),
        "p50 ms": round(milliseconds, 3),
        **facts,
    }


def _neighbours(config: NeighboursConfig, data: Dataset) -> Neighbours:
    training = data.splits == TRAIN
    users = np.repeat(np.arange(data.users), np.diff(data.offsets))[training]
    return nearest_neighbours(
        np.searchsorted(users, np.arange(data.users + 1)),
        data.items[training],
        len(data.item_ids),
        shrinkage=config.shrinkage,
        kept=config.kept,
    )


def _operating_point(index: ItemIndex, embeddings: np.ndarray[Any, Any]) -> tuple[float, float]:
    """Recall against exact search, and the median latency of one query, over random items."""
    rows = np.random.default_rng(0).permutation(len(embeddings))[:PROBES]
    queries = np.ascontiguousarray(embeddings[np.sort(rows)], dtype=np.float32)
    k = min(SHORTLIST, len(index))
    exact = build_index(embeddings, IndexConfig(kind="exact"))
    _, truth = exact.search(queries, k)
    found, seconds = [], []
    for query in queries:
        started = time.perf_counter()
        found.append(index.search(query[None], k)[1][0])
        seconds.append(time.perf_counter() - started)
    shared = [len(np.intersect1d(a, b)) / k for a, b in zip(found, truth, strict=True)]
    return float(np.mean(shared)), 1e3 * float(np.median(seconds))
