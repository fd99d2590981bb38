"""Diversifies a ranked list by the items' embeddings and by their attribute values.

Similarity is penalised as in Carbonell and Goldstein, "The use of MMR, diversity-based reranking
for reordering documents and producing summaries", SIGIR 1998, or else the divergence from the
history's values as in Steck, "Calibrated recommendations", RecSys 2018. An item's relevance is its
place in the list, not its score, so that a strength means the same for every scale of scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from index.arrays import Rows, Scores
from index.filters.attributes import Attributes
from index.live_index import LiveIndex
from retrieval.penalties import Divergence, Similarity
from retrieval.taste import Taste
from shortlist_client.api.request import Diversity


@dataclass(frozen=True, kw_only=True)
class Cap:
    """Limit on the number of items that share an attribute value."""

    limit: int
    """Items per value at most"""
    holders: NDArray[np.bool_]
    """(values, items) whether an item has a value"""


def diversify(
    rows: Rows,
    wanted: int,
    diversity: Diversity,
    index: LiveIndex,
    attributes: Attributes,
    *,
    taste: Taste | None = None,
) -> NDArray[np.int64]:
    """Places of the chosen items in the ranked list, in their new order.

    Args:
        rows: Item rows, best first.
        wanted: Items at most; fewer where the caps exclude all remaining items.
        diversity: The requested strength and caps.
        index: Source of the items' embeddings.
        attributes: Source of the items' attribute values.
        taste: The history's values beside the list's; None without any.
    """
    vectors = index.vectors(rows) if diversity.strength and len(rows) else None
    caps = [
        Cap(limit=limit, holders=_holders(name, rows, attributes))
        for name, limit in diversity.at_most.items()
    ]
    return choose_diverse(
        len(rows),
        wanted,
        strength=diversity.strength,
        vectors=vectors,
        caps=caps,
        calibrated=diversity.calibrated,
        taste=taste,
    )


def choose_diverse(
    items: int,
    wanted: int,
    *,
    strength: float = 0.0,
    vectors: Scores | None = None,
    caps: Sequence[Cap] = (),
    calibrated: float = 0.0,
    taste: Taste | None = None,
) -> NDArray[np.int64]:
    """Places in a ranked list, chosen one by one; among equals the first place wins.

    Args:
        items: Length of the ranked list.
        wanted: Places at most.
        strength: Weight of the similarity penalty, 0 to 1; relevance has the rest of the weight.
        vectors: (items, dimension) of unit length; may be None where the strength is 0.
        caps: Limits on items that share an attribute value.
        calibrated: Weight of the divergence from the history's values, 0 to 1, instead of strength.
        taste: The history's values beside the list's; without it, `calibrated` changes nothing.
    """
    penalty: Similarity | Divergence = Similarity(weight=strength, items=items, vectors=vectors)
    if calibrated and taste is not None:
        penalty = Divergence(weight=calibrated, taste=taste)
    relevance = (1 - penalty.weight) * (1 - np.arange(items) / max(items, 1))
    remaining = [np.full(len(cap.holders), cap.limit) for cap in caps]
    places: list[int] = []
    for _ in range(min(wanted, items)):
        place = int(np.argmax(relevance - penalty.weight * penalty.of_items()))
        if relevance[place] == -np.inf:
            break
        places.append(place)
        penalty.choose(place)
        relevance[place] = -np.inf
        for cap, per_value in zip(caps, remaining, strict=True):
            held = np.flatnonzero(cap.holders[:, place])
            per_value[held] -= 1
            used_up = held[per_value[held] <= 0]
            relevance[cap.holders[used_up].any(axis=0)] = -np.inf
    return np.array(places, np.int64)


def _holders(name: str, rows: Rows, attributes: Attributes) -> NDArray[np.bool_]:
    """(values, items) whether an item has a value of the attribute."""
    places, numbers = attributes.keywords(name, rows)
    distinct, value = np.unique(numbers, return_inverse=True)
    holders = np.zeros((len(distinct), len(rows)), bool)
    holders[value, places] = True
    return holders
