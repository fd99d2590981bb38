"""BM25 of one kind of token over a corpus, and over the items that are added later."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.arrays import Scores
from lineage.arrays import read_array

LENGTH = "mean_length.npy"
NOTHING = "\0"
"""Token of a corpus without tokens, which no search has"""


@dataclass(frozen=True, kw_only=True, eq=False)
class BM25:
    """Scores of a corpus for the tokens of a search.

    Score of a text: the sum over the search's distinct tokens of idf × tf / (tf + k1 (1 - b + b ×
    length / mean length)) (Robertson & Zaragoza, "The probabilistic relevance framework", 2009, in
    the form of Lucene). It is divided by the sum of the idf of all tokens of the search, so that it
    is within 0 and 1 and comparable between searches.
    """

    index: Any
    """`bm25s.BM25` over the corpus"""
    mean_length: float
    """Mean number of tokens of a text"""

    @classmethod
    def of(cls, texts: Sequence[Sequence[str]], *, k1: float, b: float) -> "BM25":
        """Index the tokens of a corpus, at least one text."""
        import bm25s

        numbers: dict[str, int] = {}  # by first appearance: the files of two runs are equal
        tokens = [[numbers.setdefault(token, len(numbers)) for token in text] for text in texts]
        if not numbers:
            tokens[0] = [numbers.setdefault(NOTHING, 0)]
        index = bm25s.BM25(k1=k1, b=b, method="lucene", dtype="float32")
        index.index((tokens, numbers), show_progress=False, create_empty_token=False)
        return cls(index=index, mean_length=float(np.mean([len(text) for text in tokens])))

    def save(self, folder: Path) -> None:
        """Write the index and the mean length into a folder of their own."""
        self.index.save(str(folder), show_progress=False)
        np.save(folder / LENGTH, np.float64(self.mean_length))

    @classmethod
    def load(cls, folder: Path) -> "BM25":
        """Load what `save` wrote; large arrays are mapped, as `read_array` does."""
        import bm25s

        index = bm25s.BM25.load(str(folder), mmap=True, show_progress=False)
        for name in ("data", "indices", "indptr"):
            index.scores[name] = read_array(folder / f"{name}.csc.index.npy")
        return cls(index=index, mean_length=float(np.load(folder / LENGTH)))

    def known(self, tokens: Iterable[str]) -> list[str]:
        """The distinct tokens that the corpus has."""
        return [token for token in dict.fromkeys(tokens) if token in self.index.vocab_dict]

    def scores(self, tokens: Sequence[str]) -> Scores:
        """(texts,) scores of the corpus, in [0, 1]; zeros if it has none of the tokens."""
        known, size = self.known(tokens), self.size
        if not known:
            return np.zeros(size, np.float32)
        scores: Scores = self.index.get_scores(known)
        return scores / np.float32(self.most(tokens))

    def most(self, tokens: Iterable[str]) -> float:
        """Sum of the idf of the distinct tokens; a token that the corpus lacks counts as rarest."""
        return sum(self.idf(token) for token in dict.fromkeys(tokens)) or float(np.log1p(self.size))

    def idf(self, token: str) -> float:
        """Inverse document frequency of a token, nats."""
        number = self.index.vocab_dict.get(token)
        having = 0 if number is None else int(self._having[number])
        return float(np.log1p((self.size - having + 0.5) / (having + 0.5)))

    def weights(self, tokens: Sequence[str]) -> dict[str, float]:
        """Weight of each token in a text that the corpus lacks, before division."""
        length = 1 - self.index.b + self.index.b * len(tokens) / self.mean_length
        return {
            token: self.idf(token) * count / (count + self.index.k1 * length)
            for token, count in Counter(tokens).items()
        }

    @property
    def size(self) -> int:
        """Number of texts of the corpus."""
        return int(self.index.scores["num_docs"])

    @cached_property
    def _having(self) -> NDArray[np.int64]:
        """(tokens,) number of texts that have each token."""
        having: NDArray[np.int64] = np.diff(self.index.scores["indptr"])
        return having
