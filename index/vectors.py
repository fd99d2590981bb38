"""Reads, checks and samples item embeddings in blocks, as they may exceed memory."""

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32] | NDArray[np.float16]
BLOCK = 64 << 20
"""Bytes of float32 vectors in one block."""
SAMPLED_AT_ONCE = 4096
UNIT_TOLERANCE = 1e-2


def blocks(embeddings: Vectors, start: int, stop: int) -> Iterator[NDArray[np.float32]]:
    """Copies of consecutive rows as float32; frees the pages of a memory map after each block."""
    rows = max(1, BLOCK // (4 * embeddings.shape[1]))
    for first in range(start, stop, rows):
        yield np.array(embeddings[first : min(first + rows, stop)], dtype=np.float32)
        _release_pages(embeddings)


def sample(embeddings: Vectors, size: int) -> NDArray[np.float32]:
    """(size, dimension): random rows without repeats, in row order."""
    rows = np.sort(np.random.default_rng(0).choice(len(embeddings), size, replace=False))
    taken = np.empty((size, embeddings.shape[1]), np.float32)
    for start in range(0, size, SAMPLED_AT_ONCE):
        part = slice(start, start + SAMPLED_AT_ONCE)
        taken[part] = embeddings[rows[part]]
        _release_pages(embeddings)
    return taken


def require_unit_length(embeddings: Vectors) -> None:
    """Check block by block that all embeddings have length 1.

    Raises:
        ValueError: empty, wrong shape, not finite or not of length 1; names the row.
    """
    checked(embeddings[:1], None)
    first = 0
    for block in blocks(embeddings, 0, len(embeddings)):
        checked(block, None, first=first)
        off = np.abs(np.linalg.norm(block, axis=1) - 1)
        if off.max() > UNIT_TOLERANCE:
            worst = int(off.argmax())
            length = float(np.linalg.norm(block[worst]))
            raise ValueError(
                f"embeddings must have length 1, got {length:.3f} in row {first + worst}"
            )
        first += len(block)


def checked(vectors: NDArray[Any], dimension: int | None, *, first: int = 0) -> NDArray[np.float32]:
    """The vectors as FAISS needs them: 2-d, finite, C-contiguous float32.

    Args:
        vectors: Vectors to check.
        dimension: Required dimension; None accepts any.
        first: Row number of the first vector, for messages.

    Raises:
        ValueError: empty, wrong shape, wrong dimension or not finite.
    """
    if vectors.ndim != 2 or vectors.size == 0:
        raise ValueError(f"vectors must be (n, dimension) and not empty, got shape {vectors.shape}")
    if dimension is not None and vectors.shape[1] != dimension:
        raise ValueError(f"vectors must have dimension {dimension}, got {vectors.shape[1]}")
    if not np.isfinite(vectors).all():
        row = first + int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise ValueError(f"vectors must be finite, got NaN or infinity in row {row}")
    return np.ascontiguousarray(vectors, dtype=np.float32)


def _release_pages(embeddings: Vectors) -> None:
    """Drop the pages read so far; otherwise they count as memory of this process."""
    if isinstance(embeddings.base, mmap.mmap):
        embeddings.base.madvise(mmap.MADV_DONTNEED)
