"""What counts against the items of a list, given those that were chosen before."""

import numpy as np
from numpy.typing import NDArray

from index.arrays import Scores
from retrieval.taste import Taste


class Similarity:
    """The largest cosine to a chosen item; 0 before one is chosen (MMR)."""

    def __init__(self, *, weight: float, items: int, vectors: Scores | None) -> None:
        """Start without a chosen item.

        Args:
            weight: Weight of the penalty beside the relevance.
            items: Length of the list.
            vectors: (items, dimension) of unit length; may be None where the weight is 0.
        """
        self.weight, self._vectors = weight, vectors
        self._largest = np.zeros(items)
        self._chosen = False

    def of_items(self) -> NDArray[np.float64]:
        """(items,) penalty of each item."""
        return self._largest

    def choose(self, place: int) -> None:
        """Count an item among the chosen ones."""
        if self.weight and self._vectors is not None:
            cosines = self._vectors @ self._vectors[place]
            self._largest = np.maximum(self._largest, cosines) if self._chosen else cosines
            self._chosen = True


class Divergence:
    """How far the history's values are from those of the chosen items and the item (Steck)."""

    def __init__(self, *, weight: float, taste: Taste) -> None:
        """Start without a chosen item.

        Args:
            weight: Weight of the penalty beside the relevance.
            taste: The history's values beside the list's.
        """
        self.weight, self._taste = weight, taste
        self._amounts = np.zeros(len(taste.shares))
        self._valued = 0

    def of_items(self) -> NDArray[np.float64]:
        """(items,) penalty of each item, nats."""
        return self._taste.divergences(self._amounts, self._valued)

    def choose(self, place: int) -> None:
        """Count an item among the chosen ones."""
        mine = self._taste.places == place
        self._amounts[self._taste.numbers[mine]] += self._taste.weights[mine]
        self._valued += int(self._taste.valued[place])
