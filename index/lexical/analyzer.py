"""Splits texts and searches into what they are matched by: stems, and pieces of words."""

import re
from dataclasses import dataclass
from functools import cached_property

import Stemmer

WORD = re.compile(r"[^\W\d_]+|\d+")
"""Letters or digits alone, so that `24in` and `24 in` match"""
EDGE = "_"


@dataclass(frozen=True)
class Analyzer:
    """Tokens of texts; the same for items and for searches."""

    language: str
    """Language of the Snowball stemmer; empty to match words as they are."""
    piece: int
    """Characters of a piece of a word; 0 for no pieces."""

    def words(self, text: str) -> list[str]:
        """Stems of the words, in order."""
        words = WORD.findall(text.casefold())
        return words if self._stemmer is None else self._stemmer.stemWords(words)

    def pieces(self, text: str) -> list[str]:
        """Overlapping pieces of each word with its edges, so that a typo spoils only a few."""
        found = []
        for word in WORD.findall(text.casefold()):
            whole = f"{EDGE}{word}{EDGE}"
            ends = range(max(1, len(whole) - self.piece + 1))
            found += [whole[start : start + self.piece] for start in ends]
        return found

    @cached_property
    def _stemmer(self) -> Stemmer.Stemmer | None:
        return Stemmer.Stemmer(self.language) if self.language else None
