"""Texts in other words: some words replaced by synonyms of WordNet, which no model learnt from."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from backbone.augmentation import replaced
from backbone.synonyms import LETTERS, WORD, Synonyms

PARTS = {"noun": "1", "verb": "2", "adj": "3", "adv": "4"}
"""Parts of speech as WordNet's files name and number them"""
LEAST_USES = 2
"""Least uses of a word in its most frequent sense, in the texts that WordNet's authors annotated"""
SATELLITE = "5"
"""Number of adjectives that are listed under another one"""


def reworded(texts: Sequence[str], share: float, seed: int, synonyms: Synonyms) -> list[str]:
    """The texts with a share of all their words replaced, out of those that have synonyms.

    Args:
        texts: Texts.
        share: Mean share of all words; less where fewer have synonyms.
        seed: Seed; equal texts in equal order get equal words.
        synonyms: Replacements of words.
    """
    rng = np.random.default_rng(seed)
    words = [word for text in texts for word in WORD.findall(text.lower())]
    some = sum(word in synonyms for word in words)
    chance = min(1.0, share * len(words) / some) if some else 0.0
    return [replaced(text, synonyms, chance, rng) for text in texts]


def wordnet(folder: Path) -> dict[str, tuple[str, ...]]:
    """Synonyms: words that share their most frequent sense, and are used in it several times.

    Args:
        folder: WordNet's database files, such as `data.noun`, `index.noun` and `cntlist.rev`.

    Source: Miller, "WordNet: a lexical database for English", CACM 1995.
    """
    uses = defaultdict[str, Counter[tuple[str, int]]](Counter)
    for key, place, times in _fields(folder / "cntlist.rev"):
        word, _, rest = key.partition("%")
        part = PARTS["adj"] if rest[0] == SATELLITE else rest[0]
        uses[word][part, int(place)] = int(times)
    usual = {word: counts.most_common(1)[0] for word, counts in uses.items()}
    sharing = defaultdict[tuple[str, str], list[str]](list)
    for name, part in PARTS.items():
        for word, _, size, *others in _fields(folder / f"index.{name}"):
            senses = others[-int(size) :]
            (of_part, sense), count = usual.get(word, (("", 0), 0))
            known = of_part == part and sense <= len(senses) and LETTERS.fullmatch(word)
            if known and count >= LEAST_USES:
                sharing[part, senses[sense - 1]].append(word)
    return {
        word: tuple(other for other in words if other != word)
        for words in sharing.values()
        if len(words) > 1
        for word in words
    }


def _fields(path: Path) -> Iterator[list[str]]:
    """Fields of each line but those of the licence, which are indented."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.startswith(" "):
                yield line.split()
