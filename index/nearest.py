"""Searches of an index that leave items out."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from pyroaring import BitMap

from dataset.postings import bitmap_of
from index.arrays import Rows, Scores
from index.live_index import LiveIndex

WIDTH = 64
"""Searches round their size up to a multiple of this, so that more of them share a batch."""


def nearest_all(
    index: LiveIndex,
    embeddings: Scores,
    excluded: Sequence[Rows],
    size: int,
    *,
    allowed: Sequence[BitMap | None],
) -> list[tuple[Rows, Scores]]:
    """`nearest` for a batch of embeddings, (embeddings, dimension), each with its own rows.

    The search width of an embedding depends only on its own rows, not on the rest of the batch.
    """
    origins = [np.unique(index.origins(rows)) for rows in excluded]
    found: dict[int, tuple[Rows, Scores]] = {}
    batches: dict[int, list[int]] = defaultdict(list)
    for place, (left_out, among) in enumerate(zip(origins, allowed, strict=True)):
        if among is None:
            k = WIDTH * -(-(size + len(left_out)) // WIDTH)
            batches[min(k, len(index))].append(place)
        else:
            found[place] = _among(index, embeddings[place], left_out, size, among)
    for k, places in batches.items():
        cosines, rows = index.search(embeddings[places], k)
        for place, own_rows, own_cosines in zip(places, rows, cosines, strict=True):
            left_out = np.isin(index.origins(own_rows), origins[place])
            best = np.flatnonzero((own_rows >= 0) & ~left_out)[:size]
            found[place] = own_rows[best].astype(np.int32), own_cosines[best]
    return [found[place] for place in range(len(origins))]


def _among(
    index: LiveIndex, embedding: Scores, left_out: Rows, size: int, allowed: BitMap
) -> tuple[Rows, Scores]:
    current = index.current(left_out)
    cosines, rows = index.search_among(
        embedding, size, allowed - bitmap_of(np.sort(current[current >= 0]))
    )
    return rows.astype(np.int32), cosines
