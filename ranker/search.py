"""A search as the ranker reads it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Search(NamedTuple):
    """What a shopper searches for."""

    state: NDArray[np.int8]
    """(bytes,) state of its words, quantised like that of an item with this text"""


Searches = Sequence[Search | None] | None
"""Search of each shopper, None for none; None if nobody searches or the ranker reads no searches"""
