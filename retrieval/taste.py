"""The values of an attribute in a shopper's history, beside those of a list's items."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.variety import SMOOTHED
from index.arrays import Rows
from profiles.attribute_values import AttributeValues


@dataclass(frozen=True, kw_only=True)
class Taste:
    """The values of an attribute in a history, and which of them the items of a list have."""

    shares: NDArray[np.float64]
    """(values,) share of each value of the history, above 0; they sum to 1"""
    places: NDArray[np.int64]
    """(pairs,) place of an item in the list"""
    numbers: NDArray[np.int64]
    """(pairs,) one of its values that the history has"""
    weights: NDArray[np.float64]
    """(pairs,) the value's share among those of the item"""
    valued: NDArray[np.bool_]
    """(items,) whether an item has any value; others do not count"""

    @classmethod
    def of(
        cls,
        attribute: AttributeValues,
        history: Rows,
        rows: Rows,
        added: Callable[[int], list[int]] | None = None,
    ) -> "Taste | None":
        """Compare a list with a history, whose interactions count alike; None if it has no value.

        Args:
            attribute: Values of the items.
            history: Item rows.
            rows: Item rows of the list.
            added: Returns the numbers of the values of an item that the release lacks.
        """
        had, of_history = attribute.of_rows(history, added)
        if not len(had):
            return None
        counts = np.bincount(had, minlength=len(history))
        values, of_pair = np.unique(of_history, return_inverse=True)
        shares = np.bincount(of_pair, 1 / counts[had])
        places, numbers = attribute.of_rows(rows, added)
        per_item = np.bincount(places, minlength=len(rows))
        at = np.minimum(np.searchsorted(values, numbers), len(values) - 1)
        known = values[at] == numbers
        return cls(
            shares=shares / shares.sum(),
            places=places[known],
            numbers=at[known],
            weights=1 / per_item[places[known]],
            valued=per_item > 0,
        )

    def divergences(self, amounts: NDArray[np.float64], chosen: int) -> NDArray[np.float64]:
        """(items,) divergence of the history from the chosen items and each one of the list.

        Args:
            amounts: (values,) sums of the weights of the chosen items.
            chosen: Number of the chosen items that have a value.
        """
        mixed = SMOOTHED * self.shares
        entropy = self.shares @ np.log(self.shares)
        without = np.log((1 - SMOOTHED) * amounts / max(chosen, 1) + mixed)
        before = np.log((1 - SMOOTHED) * amounts / (chosen + 1) + mixed)
        more = (amounts[self.numbers] + self.weights) / (chosen + 1)
        after = np.log((1 - SMOOTHED) * more + mixed[self.numbers])
        gains = self.shares[self.numbers] * (after - before[self.numbers])
        gained = np.bincount(self.places, gains, len(self.valued))
        return entropy - np.where(self.valued, self.shares @ before + gained, self.shares @ without)
