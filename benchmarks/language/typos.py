"""Typing mistakes: some words of a text with one letter too many, too few, swapped or wrong."""

import re
from collections.abc import Sequence

import numpy as np

WORD = re.compile(r"\w{2,}")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def mistyped(texts: Sequence[str], share: float, seed: int) -> list[str]:
    """The texts with one mistake in a share of their words, each word by itself with that chance.

    The mistake is a letter inserted, deleted or replaced, or two neighbours swapped, at a random
    place.

    Args:
        texts: Texts; words of one character stay as they are.
        share: Chance of a word to be mistyped.
        seed: Seed; equal texts in equal order get equal mistakes.
    """
    rng = np.random.default_rng(seed)

    def typed(found: re.Match[str]) -> str:
        return _mistake(found[0], rng) if rng.random() < share else found[0]

    return [WORD.sub(typed, text) for text in texts]


def _mistake(word: str, rng: np.random.Generator) -> str:
    kind, place = int(rng.integers(4)), int(rng.integers(len(word)))
    letter = LETTERS[int(rng.integers(len(LETTERS)))]
    if kind == 0:
        return word[:place] + letter + word[place:]
    if kind == 1:
        return word[:place] + word[place + 1 :]
    if kind == 2:
        return word[:place] + letter + word[place + 1 :]
    place = min(place, len(word) - 2)
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
