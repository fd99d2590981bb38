"""Items that a model of histories generates, as a recall source."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from dataset.postings import rows_of
from index.arrays import Rows, Scores
from index.live_index import LiveIndex

FLOOR = 1e-4
"""Added to an item's probability before its logarithm is taken"""


class Generates(Protocol):
    """Generates the next items of histories, of which each shopper gets as many as remain."""

    def __call__(
        self,
        histories: Sequence[Rows],
        excluded: Sequence[Rows],
        allowed: Sequence[NDArray[np.integer] | None],
        size: int,
    ) -> list[tuple[Rows, Scores]]:
        """Item rows of the release and their log probabilities, see `generative.generator`."""


@dataclass(frozen=True, kw_only=True)
class Generated:
    """What is generated for shoppers, in the rows of an index that may have changed."""

    generate: Generates
    weight: float
    """Weight of log(probability + `FLOOR`) in the merged score, above 0"""

    def recalled(
        self,
        index: LiveIndex,
        histories: Sequence[Rows],
        excluded: Sequence[Rows],
        allowed: Sequence[BitMap | None],
        size: int,
    ) -> list[Rows]:
        """Current rows of the `size` most probable items of each shopper, best first.

        Items that the release lacks are never generated. Empty without a history.

        Args:
            index: The index, whose rows the others are.
            histories: Item rows, oldest first.
            excluded: Item rows to leave out.
            allowed: Item rows to choose from; None for all.
            size: Items wanted.
        """
        hidden = index.hidden_rows[index.hidden_rows < index.built]
        gone = hidden[index.current(hidden) < 0]
        generated = self.generate(
            [index.origins(history) for history in histories],
            [np.concatenate([index.origins(rows), gone]) for rows in excluded],
            [_origins(index, rows) for rows in allowed],
            size,
        )
        return [index.current(rows).astype(np.int32) for rows, _ in generated]

    def probabilities(self, index: LiveIndex, history: Rows, rows: Rows) -> Scores:
        """(items,) probability that each item is the next one; 0 for items the release lacks.

        It does not depend on the other given items: the search is held to all of them and drops
        none.
        """
        found, origins = np.zeros(len(rows), np.float32), index.origins(rows)
        if not len(history) or not len(rows):
            return found
        ((generated, logs),) = self.generate(
            [index.origins(history)], [rows[:0]], [origins], len(rows)
        )
        order = np.argsort(generated)
        known = generated[order]
        place = np.minimum(np.searchsorted(known, origins), max(len(known) - 1, 0))
        if len(known):
            found = np.where(known[place] == origins, np.exp(logs[order][place]), 0)
        return found.astype(np.float32)


def logits(probabilities: Scores) -> Scores:
    """(items,) log(probability / `FLOOR` + 1): 0 for an item that is not generated."""
    of_each: Scores = np.log1p(probabilities / np.float32(FLOOR))
    return of_each


def _origins(index: LiveIndex, allowed: BitMap | None) -> NDArray[np.integer] | None:
    """Rows of the release of the visible allowed items; None for all."""
    return None if allowed is None else index.origins(rows_of(allowed - index.hidden))
