"""Numbers by ridge regression over words and pairs of words, hashed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import lsqr

SIZE = 1 << 18
"""Hashed words and pairs"""
PENALTIES = (0.03, 0.1, 0.3)
ITERATIONS = 200
_WORD = re.compile(r"\w+")
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Lexical:
    """Predicts a number from the words of a text."""

    rarity: NDArray[np.float32]
    """(size,) inverse document frequency of each word or pair."""
    weights: NDArray[np.float32]
    """(size,)"""
    mean: float

    def __call__(self, texts: Sequence[str]) -> Floats:
        """(texts,): predicted numbers."""
        found: Floats = _weighted(word_counts(texts), self.rarity) @ self.weights + self.mean
        return found


def word_counts(texts: Sequence[str]) -> sparse.csr_array:
    """(texts, size): 1 + log of the count of each word and each pair of neighbours."""
    rows, columns = [], []
    for row, text in enumerate(texts):
        words = _WORD.findall(text.lower())
        for part in (*words, *(f"{first} {second}" for first, second in pairwise(words))):
            rows.append(row)
            columns.append(crc32(part.encode(errors="surrogatepass")) % SIZE)
    ones = np.ones(len(rows))
    counts = sparse.csr_array((ones, (rows, columns)), shape=(len(texts), SIZE))
    counts.sum_duplicates()
    counts.data = 1 + np.log(counts.data)
    return counts


def fit_lexical(texts: Sequence[str], numbers: Floats, penalty: float) -> Lexical:
    """Fit the weights of words.

    Args:
        texts: Texts to learn.
        numbers: (texts,) numbers; NaN for a missing one.
        penalty: Ridge penalty, for rows of unit length.
    """
    known = np.flatnonzero(np.isfinite(numbers))
    counts = word_counts([texts[row] for row in known.tolist()])
    frequency = np.bincount(counts.indices, minlength=SIZE)
    rarity = np.log((1 + len(known)) / (1 + frequency)) + 1
    wanted = numbers[known]
    weights = lsqr(
        _weighted(counts, rarity),
        wanted - wanted.mean(),
        damp=penalty**0.5,
        iter_lim=ITERATIONS,
    )[0]
    return Lexical(
        rarity=rarity.astype(np.float32),
        weights=weights.astype(np.float32),
        mean=float(wanted.mean()),
    )


def _weighted(counts: sparse.csr_array, rarity: NDArray[np.floating]) -> sparse.csr_array:
    """Rows of unit length, in which rare words count more."""
    weighted = counts.copy()
    weighted.data = counts.data * rarity[counts.indices]
    lengths = np.sqrt(weighted.multiply(weighted).sum(axis=1))
    scale = np.repeat(np.maximum(lengths, 1e-12), np.diff(weighted.indptr))
    weighted.data /= scale
    return weighted
