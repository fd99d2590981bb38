"""Words that a history's items and a candidate have in common: what an average of texts blurs."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

KEPT = 16
"""Words of a text at most, the first ones"""
BYTES = 4 * KEPT
"""That an item's words take"""
BEGINNING = 6
"""Words by which it is told whether two texts begin alike"""
RARITY_STEP = 1 / 16
"""Nats"""
MATCHES = ("rarity of what both have", "cosine", "words that both have", "beginning in common")
"""In the order of the columns"""
SCALES = np.array([4.0, 0.15, 1.0, 0.5], np.float32)
"""By which they are divided, so that all vary by about 1"""
Words = NDArray[np.uint32]
"""(…, KEPT): three bytes of a word's hash, then its rarity in steps; 0 where there is none"""


@dataclass(frozen=True, kw_only=True)
class WordRarity:
    """How rare words are in a corpus: log(1 + items / (1 + items with the word)).

    Source: inverse document frequency, Spärck Jones, Journal of Documentation 1972.
    """

    hashes: NDArray[np.uint32]
    """(words,) ascending, each shifted by a byte"""
    items: NDArray[np.int64]
    """(words,) items that have it"""
    corpus: int
    """Items"""

    @classmethod
    def of(cls, texts: Iterable[str]) -> "WordRarity":
        """Count the words of a corpus."""
        counts: Counter[str] = Counter()
        corpus = 0
        for text in texts:
            counts.update(words_of(text))
            corpus += 1
        hashes = np.array([_hash(word) for word in counts], np.uint32)
        distinct, place = np.unique(hashes, return_inverse=True)
        items = np.bincount(place, list(counts.values()), len(distinct)).astype(np.int64)
        return cls(hashes=distinct, items=items, corpus=corpus)

    def read(self, texts: Sequence[str]) -> Words:
        """(texts, KEPT) their words, in their order, each once."""
        read = np.zeros((len(texts), KEPT), np.uint32)
        for place, text in enumerate(texts):
            words = words_of(text)
            read[place, : len(words)] = [_hash(word) for word in words]
        present = read > 0
        read[present] |= self._steps(read[present])
        return read

    def _steps(self, hashes: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """(hashes,) rarity, at least one step."""
        place = np.searchsorted(self.hashes, hashes)
        known = place < len(self.hashes)
        known[known] = self.hashes[place[known]] == hashes[known]
        items = np.zeros(len(hashes))
        items[known] = self.items[place[known]]
        rarity = np.log1p(self.corpus / (1 + items))
        steps: NDArray[np.uint32] = np.rint(rarity / RARITY_STEP).clip(1, 255).astype(np.uint32)
        return steps

    def save(self, path: Path) -> None:
        """Write one file."""
        np.savez(path, hashes=self.hashes, items=self.items, corpus=self.corpus)

    @classmethod
    def load(cls, path: Path) -> "WordRarity":
        """Read what `save` wrote."""
        with np.load(path) as parts:
            return cls(hashes=parts["hashes"], items=parts["items"], corpus=int(parts["corpus"]))


def words_of(text: str) -> list[str]:
    """The first distinct words of a text, in their order, in lower case."""
    return list(dict.fromkeys(re.findall(r"\w+", text.lower())))[:KEPT]


def _hash(word: str) -> int:
    return int.from_bytes(blake2b(word.encode(errors="surrogatepass"), digest_size=3).digest()) << 8


def as_bytes(words: Words) -> NDArray[np.int8]:
    """(…, BYTES): words as they lie beside other bytes of an item."""
    return np.ascontiguousarray(words, "<u4").view(np.int8)


def from_bytes(kept: NDArray[np.int8]) -> Words:
    """(…, KEPT) words of (…, BYTES)."""
    return np.ascontiguousarray(kept).view("<u4")


def matches(history: Words, candidates: Words) -> NDArray[np.float32]:
    """What items of a history and candidates have in common.

    Args:
        history: (items, KEPT)
        candidates: (candidates, KEPT)

    Returns:
        (candidates, items, matches) columns as in `MATCHES`.
    """
    vocabulary = np.unique(history)
    vocabulary = vocabulary[vocabulary > 0]
    of_history, of_candidates = _among(vocabulary, history), _among(vocabulary, candidates)
    rarity = _rarity(vocabulary)
    weighted = of_history * rarity
    squared = [(_rarity(words) ** 2).sum(axis=-1) for words in (candidates, history)]
    lengths = np.sqrt(np.outer(*squared))
    begin = candidates[:, None, :BEGINNING] == history[None, :, :BEGINNING]
    begin &= history[None, :, :BEGINNING] > 0
    found = np.stack(
        [
            _product(of_candidates, weighted),
            _product(of_candidates, weighted * rarity) / np.maximum(lengths, 1e-6),
            _product(of_candidates, of_history),
            np.logical_and.accumulate(begin, axis=-1).sum(axis=-1),
        ],
        axis=-1,
    )
    result: NDArray[np.float32] = (found / SCALES).astype(np.float32)
    return result


def _product(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """(left, right) inner products, by torch: numpy's threads would stay awake beside torch's."""
    with torch.autocast("cpu", enabled=False):  # training validates in half precision
        product: NDArray[np.float32] = (torch.from_numpy(left) @ torch.from_numpy(right).T).numpy()
    return product


def _among(vocabulary: Words, words: Words) -> NDArray[np.float32]:
    """(items, vocabulary) 1 where an item has a word."""
    has = np.zeros((len(words), len(vocabulary)), np.float32)
    if not len(vocabulary):
        return has
    place = np.searchsorted(vocabulary, words).clip(max=len(vocabulary) - 1)
    item, word = np.nonzero(vocabulary[place] == words)
    has[item, place[item, word]] = 1
    return has


def _rarity(words: Words) -> NDArray[np.float32]:
    """(…,) nats; 0 where there is no word."""
    return (words & 255).astype(np.float32) * np.float32(RARITY_STEP)
