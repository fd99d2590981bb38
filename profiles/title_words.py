"""Words of titles: how usual each is in the catalogue, and which one names an item's kind."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLED = 200_000
"""Most titles whose words are counted, evenly spaced"""
LEAST, MOST = 3, 300
"""Titles that a word must end to name a kind, and most kinds"""
SEVERAL = 3
"""Items of which a word must be in two titles to tell them from others"""
WORD = re.compile(r"[^\W\d_]{3,}")
ENGLISH = "and for from into its not off our per set sets the this that with you your pack new"
OTHERS = "der die das und mit les des une pour los las con para"
STOP = frozenset(f"{ENGLISH} {OTHERS}".split())
"""Words that say nothing of an item"""


def words_of(title: str) -> list[str]:
    """Words of a title in lower case, in order: of three letters or more, without stop words."""
    return [word for word in WORD.findall(title.casefold()) if word not in STOP]


@dataclass(frozen=True, kw_only=True)
class TitleWords:
    """Counts of words over the titles of a catalogue."""

    titles: int
    """Number of counted titles"""
    holding: Mapping[str, int]
    """Titles that hold each word"""
    kinds: Mapping[str, int]
    """Number of each word that names a kind, 0 for the one that ends most titles"""

    @classmethod
    def of(cls, titles: Sequence[str]) -> "TitleWords":
        """Count the words of a catalogue, of a sample if it is large."""
        step = -(-max(len(titles), 1) // SAMPLED)
        sample = range(0, len(titles), step)
        holding, ending = Counter[str](), Counter[str]()
        for row in sample:
            words = words_of(titles[row])
            holding.update(set(words))
            ending.update(words[-1:])
        usual = sorted((-count, word) for word, count in ending.items() if count >= LEAST)[:MOST]
        return cls(
            titles=len(sample),
            holding=holding,
            kinds={word: number for number, (_, word) in enumerate(usual)},
        )

    def kind(self, title: str) -> int | None:
        """Number of the kind of an item: its title's word that ends most titles; None for none."""
        known = (self.kinds[word] for word in words_of(title) if word in self.kinds)
        return min(known, default=None)

    def telling(
        self, titles: Iterable[str], weights: NDArray[np.float64], count: int
    ) -> tuple[str, ...]:
        """The words that tell some items from the rest of the catalogue, most telling first.

        A word weighs its share of the items times the logarithm of how much larger that is than
        its share of the catalogue (a term of the Kullback-Leibler divergence). Of `SEVERAL` items
        or more, a word tells only if two of them have it.

        Args:
            titles: Titles of the items.
            weights: (items,) positive weights of the items.
            count: Number of words, at most.
        """
        found, holding = Counter[str](), Counter[str]()
        for title, weight in zip(titles, weights.tolist(), strict=True):
            for word in set(words_of(title)):
                found[word] += weight
                holding[word] += 1
        least = 2 if len(weights) >= SEVERAL else 1
        total = float(weights.sum())
        worth = {
            word: (weight / total) * np.log((weight / total) / self._share(word))
            for word, weight in found.items()
            if holding[word] >= least
        }
        best = sorted(worth, key=lambda word: (-worth[word], word))
        return tuple(word for word in best if worth[word] > 0)[:count]

    def _share(self, word: str) -> float:
        return (self.holding.get(word, 0) + 1) / (self.titles + 2)
