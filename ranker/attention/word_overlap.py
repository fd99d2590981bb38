"""Word overlap of history items and candidates, which averaged text states lose."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

MAX_WORDS = 16
"""Most words of a text that are stored, the first ones"""
WORD_BYTES = 4 * MAX_WORDS
"""Bytes of an item's words"""
PREFIX_WORDS = 6
"""Most words of the common prefix of two texts"""
RARITY_STEP = 1 / 16
"""Step of a quantised rarity, nats"""
MATCHES = ("rarity of shared words", "cosine", "number of shared words", "length of common prefix")
"""Measures of word overlap, in column order"""
SCALES = np.array([4.0, 0.15, 1.0, 0.5], np.float32)
"""(matches,) divisors, so that every measure varies by about 1"""
Words = NDArray[np.uint32]
"""(…, MAX_WORDS) three bytes of a word's hash, then its rarity in steps; 0 for padding"""


@dataclass(frozen=True, kw_only=True)
class WordRarity:
    """Rarity of words in a corpus: log(1 + items / (1 + items with the word)).

    Source: inverse document frequency, Spärck Jones, Journal of Documentation 1972.
    """

    hashes: NDArray[np.uint32]
    """(words,) hashes in ascending order, shifted left by a byte"""
    items: NDArray[np.int64]
    """(words,) number of items that have the word"""
    corpus: int
    """Number of items"""

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
        """(texts, MAX_WORDS) first distinct words of each text, in order."""
        table = np.zeros((len(texts), MAX_WORDS), np.uint32)
        for place, text in enumerate(texts):
            words = words_of(text)
            table[place, : len(words)] = [_hash(word) for word in words]
        present = table > 0
        table[present] |= self._steps(table[present])
        return table

    def _steps(self, hashes: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """(hashes,) rarities in steps, 1 to 255."""
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
        """Read the file that `save` wrote."""
        with np.load(path) as parts:
            return cls(hashes=parts["hashes"], items=parts["items"], corpus=int(parts["corpus"]))


def words_of(text: str) -> list[str]:
    """First distinct words of a text, in order and in lower case."""
    return list(dict.fromkeys(re.findall(r"\w+", text.lower())))[:MAX_WORDS]


def _hash(word: str) -> int:
    return int.from_bytes(blake2b(word.encode(errors="surrogatepass"), digest_size=3).digest()) << 8


def as_bytes(words: Words) -> NDArray[np.int8]:
    """(…, WORD_BYTES) words as little-endian bytes."""
    return np.ascontiguousarray(words, "<u4").view(np.int8)


def from_bytes(stored: NDArray[np.int8]) -> Words:
    """(…, MAX_WORDS) words from (…, WORD_BYTES) bytes."""
    return np.ascontiguousarray(stored).view("<u4")


def matches(history: Words, candidates: Words) -> NDArray[np.float32]:
    """Word overlap of history items and candidates.

    Args:
        history: (items, MAX_WORDS) words of the history items.
        candidates: (candidates, MAX_WORDS) words of the candidates.

    Returns:
        (candidates, items, matches) columns as in `MATCHES`.
    """
    vocabulary = np.unique(history)
    vocabulary = vocabulary[vocabulary > 0]
    history_has, candidates_have = (
        _indicator(history, vocabulary),
        _indicator(candidates, vocabulary),
    )
    rarity = _rarity(vocabulary)
    weighted = history_has * rarity
    squared = [(_rarity(words) ** 2).sum(axis=-1) for words in (candidates, history)]
    lengths = np.sqrt(np.outer(*squared))
    same = candidates[:, None, :PREFIX_WORDS] == history[None, :, :PREFIX_WORDS]
    same &= history[None, :, :PREFIX_WORDS] > 0
    measures = np.stack(
        [
            _product(candidates_have, weighted),
            _product(candidates_have, weighted * rarity) / np.maximum(lengths, 1e-6),
            _product(candidates_have, history_has),
            np.logical_and.accumulate(same, axis=-1).sum(axis=-1),
        ],
        axis=-1,
    )
    result: NDArray[np.float32] = (measures / SCALES).astype(np.float32)
    return result


def _product(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """(left, right) inner products by torch, because numpy's threads would compete with torch's."""
    with torch.autocast("cpu", enabled=False):  # validation during training autocasts
        product: NDArray[np.float32] = (torch.from_numpy(left) @ torch.from_numpy(right).T).numpy()
    return product


def _indicator(words: Words, vocabulary: Words) -> NDArray[np.float32]:
    """(items, vocabulary) 1 where an item has a word, else 0."""
    has = np.zeros((len(words), len(vocabulary)), np.float32)
    if not len(vocabulary):
        return has
    place = np.searchsorted(vocabulary, words).clip(max=len(vocabulary) - 1)
    item, word = np.nonzero(vocabulary[place] == words)
    has[item, place[item, word]] = 1
    return has


def _rarity(words: Words) -> NDArray[np.float32]:
    """(…,) rarities, nats; 0 for padding."""
    return (words & 255).astype(np.float32) * np.float32(RARITY_STEP)
