"""Synthetic embeddings, easy and hard for an index, generated in blocks."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 16
ITEMS_A_CENTRE = 500
SPECTRUM = 0.3
Maker = Callable[[int, int, int], Iterator[NDArray[np.float32]]]
"""Takes size, dimension and seed; yields blocks of unit vectors, (rows, dimension). Another seed
gives other vectors of the same distribution."""


def clustered(centres: int) -> Maker:
    """A mixture of equal clusters; noise is as long as a centre, so clusters hardly overlap."""

    def blocks(size: int, dimension: int, seed: int) -> Iterator[NDArray[np.float32]]:
        means = np.random.default_rng(0).standard_normal((centres, dimension), dtype=np.float32)
        rng = np.random.default_rng(seed)
        for rows in _block_sizes(size):
            noise = rng.standard_normal((rows, dimension), dtype=np.float32)
            yield _unit(means[rng.integers(centres, size=rows)] + noise)

    return blocks


def unclustered(size: int, dimension: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """One Gaussian around zero; its n-th axis, in a random direction, has deviation n^-0.3."""
    rotation, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((dimension, dimension)))
    widths = np.arange(1, dimension + 1) ** -SPECTRUM
    axes = (widths[:, None] * rotation).astype(np.float32)
    rng = np.random.default_rng(seed)
    for rows in _block_sizes(size):
        yield _unit(rng.standard_normal((rows, dimension), dtype=np.float32) @ axes)


def written(path: Path, make: Maker, size: int, dimension: int) -> NDArray[np.float32]:
    """Write synthetic vectors to a file and map it."""
    vectors = np.lib.format.open_memmap(path, "w+", np.float32, (size, dimension))
    start = 0
    for block in make(size, dimension, 1):
        vectors[start : start + len(block)] = block
        start += len(block)
    vectors.flush()
    mapped: NDArray[np.float32] = np.load(path, mmap_mode="r")
    return mapped


def _block_sizes(size: int) -> Iterator[int]:
    for start in range(0, size, BLOCK):
        yield min(BLOCK, size - start)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
