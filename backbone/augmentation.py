"""Augments training texts: typos, synonyms, and words left out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from transformers import PreTrainedTokenizerBase

from backbone.config import AugmentationConfig
from backbone.synonyms import WORD, Synonyms
from backbone.tokens import Ids, SpecialTokens, item_input, tokenize

ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
LETTERS = "".join(ROWS)
NONE: Synonyms = {}


def _neighbours() -> dict[str, str]:
    """Keys of a QWERTY keyboard that touch each letter's key."""
    place = {
        key: (row, column + row / 2)
        for row, keys in enumerate(ROWS)
        for column, key in enumerate(keys)
    }
    return {
        key: "".join(
            other
            for other, (across, along) in place.items()
            if other != key and abs(across - row) <= 1 and abs(along - column) <= 1
        )
        for key, (row, column) in place.items()
    }


NEIGHBOURS = _neighbours()


def mistyped(word: str, rng: np.random.Generator) -> str:
    """A word with a typo: a letter deleted, swapped with the next, or a key beside it hit.

    The key is hit instead of the letter or after it. Words of fewer than three characters stay.
    """
    if len(word) < 3:
        return word
    kind, place = rng.integers(4), int(rng.integers(len(word) - 1))
    before, letter, after = word[:place], word[place], word[place + 1 :]
    if kind == 0:
        return before + after
    if kind == 1:
        return before + after[0] + letter + after[1:]
    beside = NEIGHBOURS.get(letter.lower(), letter)
    hit = beside[int(rng.integers(len(beside)))]
    return before + hit + after if kind == 2 else before + letter + hit + after


def replaced(text: str, synonyms: Synonyms, share: float, rng: np.random.Generator) -> str:
    """A text with a share of the words that have synonyms replaced by one of them."""

    def word(found: re.Match[str]) -> str:
        others = synonyms.get(found[0].lower())
        if others is None or rng.random() >= share:
            return found[0]
        other = others[int(rng.integers(len(others)))]
        if found[0].isupper():
            return other.upper()
        return other.capitalize() if found[0][0].isupper() else other

    return WORD.sub(word, text)


def augmented(
    text: str, config: AugmentationConfig, rng: np.random.Generator, synonyms: Synonyms = NONE
) -> str:
    """A text with synonyms and typos and without some words; at least one word stays."""
    if config.synonyms:
        text = replaced(text, synonyms, config.synonyms, rng)
    words = text.split()
    if not words:
        return text
    kept = rng.random(len(words)) >= config.dropped_words
    kept[int(rng.integers(len(words)))] = True
    wrong = rng.random(len(words)) < config.typos
    return " ".join(
        mistyped(word, rng) if typo else word
        for word, stays, typo in zip(words, kept, wrong, strict=True)
        if stays
    )


@dataclass(frozen=True, kw_only=True)
class Augmenter:
    """Makes inputs of a model from texts that are augmented anew each time."""

    texts: Sequence[str]
    tokenizer: PreTrainedTokenizerBase
    max_tokens: int
    """Most word pieces of an input, including the special tokens."""
    config: AugmentationConfig
    synonyms: Synonyms = field(default_factory=dict)

    def __call__(self, rows: Sequence[int], rng: np.random.Generator) -> list[Ids]:
        """Word pieces of some rows' texts, augmented, with special tokens."""
        special = SpecialTokens.of(self.tokenizer)
        texts = [augmented(self.texts[row], self.config, rng, self.synonyms) for row in rows]
        pieces = tokenize(texts, self.tokenizer, max_tokens=self.max_tokens - 2)
        return [item_input(pieces[row], special) for row in range(len(pieces))]
