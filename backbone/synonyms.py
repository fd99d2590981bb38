"""Learns synonyms from a stage's own texts: words in the same contexts with similar states."""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import svds

from backbone.config import AugmentationConfig
from backbone.encode_texts import encode_texts
from backbone.load import load_bert, load_tokenizer

logger = logging.getLogger(__name__)

Synonyms = Mapping[str, Sequence[str]]
"""Words in lower case, and their replacements"""
States = Callable[[Sequence[str]], NDArray[np.float32]]
Pairs = NDArray[np.int64]
"""(pairs, 2) places in the vocabulary"""
WORD = re.compile(r"\w+(?:['’]\w+)*")
LETTERS = re.compile(r"[^\W\d_]{3,}")
"""Words that may be replaced: no numbers, sizes or codes"""
MOST_TEXTS, MOST_WORDS = 100_000, 5_000
"""Texts that are read, a sample of more; words that are counted, the most frequent ones"""
LEAST_TEXTS = 5
"""Texts that contain a word that may be replaced"""
WINDOW, SMOOTHING = 2, 0.75
"""Neighbours of a word on each side; exponent of their frequencies"""
DIMENSION, NEAREST = 100, 10
"""Dimension of the contexts' vectors; each word of a pair is among so many nearest of the other"""
LEAST_COSINE, LEAST_DEVIATIONS = 0.3, 6.5
"""Least cosine of the contexts; least cosine of the states, in deviations over usual words"""
USUAL = 500
"""Frequent words whose states are compared with each other, to know what cosine is usual"""
ROWS_AT_ONCE = 1_000
SHOWN = 30


def synonyms_for(
    config: AugmentationConfig,
    texts: Iterable[str],
    kinds: Iterable[int],
    *,
    backbone: str,
    seed: int,
    cache_below: Path | None = None,
) -> Synonyms:
    """Synonyms as `learnt_synonyms` finds them, if any are to be replaced; otherwise none.

    Args:
        config: Says whether any are.
        texts: Texts to learn from.
        kinds: Of each text a number that differs where meanings do; negative if unknown.
        backbone: Name of the pretrained backbone, which reads the words.
        seed: Seed of the training.
        cache_below: Folder of the cached outputs of the backbone, if any.
    """
    if not config.synonyms:
        return {}
    tokenizer = load_tokenizer(backbone)

    def states(words: Sequence[str]) -> NDArray[np.float32]:
        bert = load_bert(backbone)
        return encode_texts(
            bert, words, tokenizer, max_tokens=16, description="words", cache_below=cache_below
        )

    return learnt_synonyms(list(texts), list(kinds), states, seed)


def learnt_synonyms(
    texts: Sequence[str],
    kinds: Sequence[int],
    states: States,
    seed: int,
) -> dict[str, tuple[str, ...]]:
    """Synonyms of words, and a line in the log with some of them, or a warning if there are none.

    Both words of a pair stand in similar contexts, and the backbone reads both alike. Three rules
    keep out opposites, colours and sizes. Two words are no pair if they alone tell two texts of
    different kinds apart, as `red mug` and `blue mug`; if texts have both more often than chance;
    or if one ends with the other, as `correct` and `incorrect`.

    Args:
        texts: Texts to learn from.
        kinds: Of each text a number that differs where meanings do, such as its item or its label;
            negative if unknown.
        states: (words, hidden) states of words by the pretrained backbone.
        seed: Seed of the sample and of the decomposition.

    Source: Levy et al., "Improving distributional similarity with lessons learned from word
    embeddings", TACL 2015 (contexts); Lin et al., "Identifying synonyms among distributionally
    similar words", IJCAI 2003 (why contexts alone are not enough).
    """
    chosen = np.random.default_rng(seed).permutation(len(texts))[:MOST_TEXTS]
    read = [WORD.findall(texts[text].lower()) for text in chosen.tolist()]
    frequency = Counter(word for words in read for word in dict.fromkeys(words))
    vocabulary = [word for word, texts_of in frequency.most_common(MOST_WORDS) if texts_of > 1]
    often = [frequency[word] >= LEAST_TEXTS and LETTERS.fullmatch(word) for word in vocabulary]
    usable = np.array(often, bool)
    found: list[tuple[str, str]] = []
    if usable.sum() > NEAREST:
        places = {word: place for place, word in enumerate(vocabulary)}
        flat = np.array([places.get(word, -1) for words in read for word in (*words, "")])
        of_text = np.repeat(np.arange(len(read)), [len(words) + 1 for words in read])
        pairs = _mutually_near(_contexts(flat, len(vocabulary), seed), usable)
        pairs = pairs[~_together(pairs, flat, of_text)]
        named = [(vocabulary[one], vocabulary[other]) for one, other in pairs.tolist()]
        named = [(a, b) for a, b in named if not (a.endswith(b) or b.endswith(a))]
        named = _not_contrasting(named, read, [kinds[text] for text in chosen.tolist()])
        usual = [vocabulary[place] for place in np.flatnonzero(usable)[:USUAL].tolist()]
        found = _alike(named, usual, states)
    _say(found, len(texts))
    replacements = defaultdict[str, list[str]](list)
    for one, other in found:
        replacements[one].append(other)
        replacements[other].append(one)
    return {word: tuple(others) for word, others in sorted(replacements.items())}


def _contexts(flat: NDArray[np.int64], words: int, seed: int) -> NDArray[np.float32]:
    """(words, dimension) unit vectors: decomposed positive pointwise mutual information.

    Args:
        flat: Places of all texts' words in the vocabulary; -1 for others and between texts.
        words: Size of the vocabulary.
        seed: Seed of the decomposition.
    """
    rows, columns = [], []
    for apart in range(1, WINDOW + 1):
        left, right = flat[:-apart], flat[apart:]
        known = (left >= 0) & (right >= 0)
        rows += [left[known], right[known]]
        columns += [words + right[known], left[known]]
    of_word, of_context = np.concatenate(rows), np.concatenate(columns)
    counts = sparse.coo_array((np.ones(len(of_word)), (of_word, of_context)), (words, 2 * words))
    counts = counts.tocsr().tocoo()
    weights = np.bincount(of_context, minlength=2 * words) ** SMOOTHING
    expected = np.bincount(of_word, minlength=words)[counts.row] * weights[counts.col]
    information = np.log(counts.data * weights.sum() / expected)
    positive = information > 0
    if not positive.any():
        return np.zeros((words, 1), np.float32)
    cells = (counts.row[positive], counts.col[positive])
    matrix = sparse.csr_array((information[positive], cells), counts.shape)
    rank = min(DIMENSION, words - 1)
    left, values, _ = svds(matrix, k=rank, rng=np.random.default_rng(seed))
    vectors = (left * np.sqrt(values)).astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = vectors / np.maximum(lengths, 1e-9)
    return unit


def _mutually_near(vectors: NDArray[np.float32], usable: NDArray[np.bool_]) -> Pairs:
    """Pairs of usable words that are among the nearest of each other."""
    words = np.flatnonzero(usable)
    vectors, near = vectors[words], set[tuple[int, int]]()
    for first in range(0, len(words), ROWS_AT_ONCE):
        cosines = vectors[first : first + ROWS_AT_ONCE] @ vectors.T
        of_row = np.arange(len(cosines))
        cosines[of_row, first + of_row] = -1
        nearest = np.argpartition(-cosines, NEAREST - 1, axis=1)[:, :NEAREST]
        close = np.take_along_axis(cosines, nearest, axis=1) >= LEAST_COSINE
        row, place = np.nonzero(close)
        near.update(zip((first + row).tolist(), nearest[row, place].tolist(), strict=True))
    mutual = sorted((a, b) for a, b in near if a < b and (b, a) in near)
    return words[np.array(mutual, np.int64).reshape(-1, 2)]


def _together(
    pairs: Pairs, flat: NDArray[np.int64], of_text: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """(pairs,) whether two texts or more have both words, and more than chance makes likely."""
    known = flat >= 0
    texts, words = int(of_text.max()) + 1, int(flat.max()) + 1
    once = np.unique(of_text[known] * words + flat[known])
    cells = (once // words, once % words)
    has = sparse.coo_array((np.ones(len(once), np.int32), cells), (texts, words)).tocsc()
    both = np.asarray(has[:, pairs[:, 0]].multiply(has[:, pairs[:, 1]]).sum(axis=0)).ravel()
    sizes = np.bincount(once % words, minlength=words)
    wanted: NDArray[np.bool_] = both > np.maximum(sizes[pairs].prod(axis=1) / texts, 1)
    return wanted


def _not_contrasting(
    pairs: Sequence[tuple[str, str]], read: Sequence[Sequence[str]], kinds: Iterable[int]
) -> list[tuple[str, str]]:
    """The pairs that nowhere alone make the difference between texts of different kinds."""
    frames = {word: defaultdict[int, set[int]](set) for pair in pairs for word in pair}
    for words, kind in zip(read, kinds, strict=True):
        for place, word in enumerate(words):
            if kind >= 0 and word in frames:
                frame = hash((*words[:place], "", *words[place + 1 :]))
                frames[word][frame].add(kind)

    def contrast(one: str, other: str) -> bool:
        of_one, of_other = frames[one], frames[other]
        return any(of_one[frame] != of_other[frame] for frame in of_one.keys() & of_other.keys())

    return [pair for pair in pairs if not contrast(*pair)]


def _alike(
    pairs: Sequence[tuple[str, str]], usual: Sequence[str], states: States
) -> list[tuple[str, str]]:
    """The pairs whose states have a high cosine beside those of all words, most alike first.

    Args:
        pairs: Pairs of words.
        usual: Other words, which say what cosine is usual.
        states: (words, hidden) states of words.
    """
    if not pairs:
        return []
    words = sorted({*usual, *(word for pair in pairs for word in pair)})
    centred = states(words)
    centred = centred - centred.mean(axis=0)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
    squares = np.square(centred.T @ centred).sum() - len(words)  # of cosines of different words
    deviation = np.sqrt(max(squares, 0) / (len(words) * (len(words) - 1)))
    places = {word: place for place, word in enumerate(words)}
    cosines = {(a, b): float(centred[places[a]] @ centred[places[b]]) for a, b in pairs}
    close = [pair for pair in pairs if cosines[pair] >= LEAST_DEVIATIONS * deviation]
    return sorted(close, key=lambda pair: -cosines[pair])


def _say(found: Sequence[tuple[str, str]], texts: int) -> None:
    if not found:
        logger.warning(
            "no synonyms were learnt from %d texts, so that none is replaced: a word and its "
            "synonym must each be in %d texts, in similar contexts",
            texts,
            LEAST_TEXTS,
        )
        return
    step = max(1, len(found) // SHOWN)
    some = ", ".join(f"{one} ~ {other}" for one, other in found[::step][:SHOWN])
    logger.info("learnt %d pairs of synonyms from %d texts, such as %s", len(found), texts, some)
