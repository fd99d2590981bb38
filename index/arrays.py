"""Types of the arrays that searches take and return."""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int32]
"""Item rows, as histories and ranked lists hold them"""
Rows64 = NDArray[np.int64]
"""Item rows, as vector stores and the live index return them"""
Scores = NDArray[np.float32]
"""Scores, embeddings, and other single-precision numbers"""
