"""Keys of item and time: integers that sort by item row, then by time."""

import numpy as np
from numpy.typing import NDArray

TIME_BITS = 34
"""Bits of a key that hold the time: Unix seconds up to the year 2514"""
TIMES = (1 << TIME_BITS) - 1


def keys_of(items: NDArray[np.integer], times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Keys of items and times, which broadcast.

    Args:
        items: Item rows.
        times: Unix seconds; before 1970 count as 1970.
    """
    keys: NDArray[np.int64] = (np.asarray(items, np.int64) << TIME_BITS) | np.maximum(times, 0)
    return keys
