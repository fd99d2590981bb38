"""Chooses from a ranked list items that differ: by their embeddings, and by what they are.

Nearness counts as in Carbonell and Goldstein, "The use of MMR, diversity-based reranking for
reordering documents and producing summaries", SIGIR 1998. What an item is worth beside it goes by
its place, so that a strength means the same whatever the scores are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from index.filters.attributes import Attributes
from index.live_index import LiveIndex
from index.ranked_list import Rows, Scores
from shortlist_client.api.request import Diversity


@dataclass(frozen=True, kw_only=True)
class Cap:
    """So many items at most that share a value."""

    most: int
    holders: NDArray[np.bool_]
    """(values, items): which items have which"""


def diverse(
    rows: Rows, wanted: int, diversity: Diversity, index: LiveIndex, attributes: Attributes
) -> NDArray[np.int64]:
    """Places of items that differ as is wished, in their new order.

    Args:
        rows: Item rows, best first.
        wanted: Items at most; fewer are chosen where no other may be.
        diversity: What is wished.
        index: Knows the items' embeddings.
        attributes: Knows what the items are.
    """
    vectors = index.vectors(rows) if diversity.strength and len(rows) else None
    caps = [
        Cap(most=most, holders=_holders(name, rows, attributes))
        for name, most in diversity.at_most.items()
    ]
    return chosen(len(rows), wanted, strength=diversity.strength, vectors=vectors, caps=caps)


def chosen(
    items: int,
    wanted: int,
    *,
    strength: float = 0.0,
    vectors: Scores | None = None,
    caps: Sequence[Cap] = (),
) -> NDArray[np.int64]:
    """Places of some of a ranked list's items, chosen one by one; of equals, the first.

    Args:
        items: Of the list.
        wanted: Places at most.
        strength: What nearness counts against an item, 0 to 1; its place counts the rest.
        vectors: (items, dimension) of unit length; may be absent where the strength is 0.
        caps: How many may be alike.
    """
    worth = (1 - strength) * (1 - np.arange(items) / max(items, 1))
    nearness = np.zeros(items)  # of no item to none
    left = [np.full(len(cap.holders), cap.most) for cap in caps]
    places: list[int] = []
    for _ in range(min(wanted, items)):
        place = int(np.argmax(worth - strength * nearness))
        if worth[place] == -np.inf:
            break
        places.append(place)
        worth[place] = -np.inf
        for cap, free in zip(caps, left, strict=True):
            free[cap.holders[:, place]] -= 1
            worth[cap.holders[free <= 0].any(axis=0)] = -np.inf
        if strength and vectors is not None:
            alike = vectors @ vectors[place]
            nearness = np.maximum(nearness, alike) if len(places) > 1 else alike
    return np.array(places, np.int64)


def _holders(name: str, rows: Rows, attributes: Attributes) -> NDArray[np.bool_]:
    """(values, items): which items have which values of an attribute."""
    places, numbers = attributes.keywords(name, rows)
    distinct, own = np.unique(numbers, return_inverse=True)
    holders = np.zeros((len(distinct), len(rows)), bool)
    holders[own, places] = True
    return holders
