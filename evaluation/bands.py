"""Bands of a number, such as prices: five parts of the items, with round bounds."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

BANDS = 5
DIGITS = 2
"""Significant digits of a bound"""


@dataclass(frozen=True, kw_only=True)
class Bands:
    """Consecutive bands of a number."""

    bounds: tuple[float, ...]
    """Ascending bounds between the bands; a number equal to a bound belongs to the upper band"""

    @classmethod
    def of(cls, numbers: NDArray[np.float64]) -> "Bands":
        """Bands that hold about as many of the numbers each; fewer where numbers are equal."""
        if not len(numbers):
            return cls(bounds=())
        between = np.quantile(numbers, np.arange(1, BANDS) / BANDS)
        low, high = float(numbers.min()), float(numbers.max())
        wide = abs(high) >= 1_000 and float(np.abs(between).min()) > high / 2  # years are not cut
        rounded = {float(f"{x:.{4 if wide else DIGITS}g}") for x in between.tolist()}
        return cls(bounds=tuple(sorted(x for x in rounded if low < x <= high)))

    def of_numbers(self, numbers: NDArray[np.float64]) -> NDArray[np.int64]:
        """(numbers,): position of each one's band."""
        return np.searchsorted(np.array(self.bounds), numbers, side="right")

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each band, lowest first."""
        if not self.bounds:
            return ("any",)
        shown = [f"{bound:,.10g}" if bound < 1000 else f"{bound:.10g}" for bound in self.bounds]
        between = [f"{low} to {high}" for low, high in pairwise(shown)]
        return (f"under {shown[0]}", *between, f"{shown[-1]} or more")

    def limits(self, band: int) -> tuple[float | None, float | None]:
        """Lower bound and the number below which a band ends; None where it is open."""
        low = self.bounds[band - 1] if band > 0 else None
        return low, self.bounds[band] if band < len(self.bounds) else None
