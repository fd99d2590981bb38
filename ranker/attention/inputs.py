"""Inputs of the attention ranker: quantised states and words of items, one byte per number."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backbone.batch import Batch
from backbone.packing import padded_width
from dataset.append_only import ExtendedArray
from lineage.arrays import read_array
from lineage.stages import ITEM_STATES
from ranker.attention.word_overlap import (
    MATCHES,
    WORD_BYTES,
    WordRarity,
    Words,
    as_bytes,
    from_bytes,
    matches,
)
from ranker.search import Search, Searches

STEPS, OPTIONS = "item_states.steps.npy", "inputs.json"
RARITY = "words.npz"
MAX_STEPS = 127
"""Largest distance from zero that a signed byte can store, steps"""
SMALLEST_STEP = 1e-9
BLOCK = 65_536
"""Items quantised at a time"""


@dataclass(frozen=True, kw_only=True)
class AttentionBatch(Batch):
    """Shoppers, each with the same number of candidates."""

    history: Tensor
    """(shoppers, length, hidden) states of the search, if any, and the items, newest first"""
    known: Tensor
    """(shoppers, length) bool: false for padding"""
    candidates: Tensor
    """(shoppers, candidates, hidden) states of the candidates"""
    matches: Tensor
    """(shoppers, candidates, length, matches) word overlap of candidates and history items, see
    `ranker.attention.word_overlap.matches`"""
    searched: Tensor | None = None
    """(shoppers,) bool: whether the first state is of a search; None if nobody searches"""


@dataclass(frozen=True, kw_only=True)
class AttentionInputs:
    """Turns histories and candidates into batches for the attention ranker.

    Every number is quantised to a byte: its distance from zero in steps, whose size is constant
    per column (symmetric quantisation; Jacob et al., CVPR 2018).
    """

    states: NDArray[np.int8] | ExtendedArray[np.int8]
    """(items, hidden + bytes of words): the mean state of an item's text, of unit length, and its
    embedding, of length √dimension, both in steps; then the words of its text"""
    steps: NDArray[np.float32]
    """(hidden,) size of a column's step"""
    rarity: WordRarity
    """Rarity of the corpus's words"""
    length: int
    """Most items of a history that are read, the newest"""

    @classmethod
    def of(
        cls, parts: Sequence[NDArray[np.float32]], texts: Sequence[str], *, length: int
    ) -> "AttentionInputs":
        """Quantise the states of a corpus and collect the words of its texts.

        Args:
            parts: (items, …) each; their columns are concatenated.
            texts: Texts of the items.
            length: Most items of a history that are read.
        """
        steps, rarity = np.concatenate([_steps(part) for part in parts]), WordRarity.of(texts)
        states, start = np.empty((len(parts[0]), len(steps) + WORD_BYTES), np.int8), 0
        for part in parts:
            columns = slice(start, start := start + part.shape[1])
            for row in range(0, len(part), BLOCK):
                rows = slice(row, row + BLOCK)
                states[rows, columns] = _in_steps(part[rows], steps[columns])
        for row in range(0, len(texts), BLOCK):
            rows = slice(row, row + BLOCK)
            states[rows, start:] = as_bytes(rarity.read(texts[rows]))
        return cls(states=states, steps=steps, rarity=rarity, length=length)

    def quantised(self, states: NDArray[np.float32], texts: Sequence[str]) -> NDArray[np.int8]:
        """(items, hidden + bytes of words) of new items, quantised as the corpus is.

        Args:
            states: (items, hidden); values outside the corpus's range are clipped.
            texts: Texts of the items.
        """
        words = as_bytes(self.rarity.read(texts))
        return np.concatenate([_in_steps(states, self.steps), words], axis=1)

    def read(self, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """(…, hidden) states of the items in (…,) rows."""
        return self.states[rows][..., : len(self.steps)] * self.steps

    def words(self, rows: NDArray[np.int32]) -> Words:
        """(…, words) words of the items in (…,) rows."""
        return from_bytes(self.states[rows][..., len(self.steps) :])

    def __call__(
        self,
        histories: Sequence[NDArray[np.int32]],
        candidates: Sequence[NDArray[np.int32]] | NDArray[np.int32],
        searches: Searches = None,
    ) -> AttentionBatch:
        """Pair every history with its candidates.

        Args:
            histories: Item rows of each shopper, oldest first.
            candidates: Item rows to be scored for each shopper, the same number for each.
            searches: Search of each shopper, which is read as the newest item.
        """
        given = [None] * len(histories) if searches is None else list(searches)
        searched = np.array([search is not None for search in given])
        kept = np.minimum([len(history) for history in histories], self.length - searched)
        newest = [
            history[len(history) - count :][::-1]
            for history, count in zip(histories, kept.tolist(), strict=True)
        ]
        lengths = kept + searched
        states = self._with_searches(np.concatenate(newest), kept, given)
        width = padded_width(int(lengths.max(initial=0)), self.length)
        known = np.arange(width) < lengths[:, None]
        rows = np.stack(list(candidates))
        history = np.zeros((*known.shape, len(self.steps)), np.float32)
        history[known] = states[:, : len(self.steps)] * self.steps
        overlap = np.zeros((*rows.shape, known.shape[1], len(MATCHES)), np.float32)
        own = from_bytes(states[:, len(self.steps) :])
        words = np.split(own, np.cumsum(lengths)[:-1])
        for shopper, candidate_words in enumerate(self.words(rows)):
            overlap[shopper, :, : lengths[shopper]] = matches(words[shopper], candidate_words)
        return AttentionBatch(
            history=torch.from_numpy(history),
            known=torch.from_numpy(known),
            candidates=torch.from_numpy(self.read(rows)),
            matches=torch.from_numpy(overlap),
            searched=torch.from_numpy(searched) if searched.any() else None,
        )

    def _with_searches(
        self,
        rows: NDArray[np.int32],
        counts: NDArray[np.int64],
        searches: Sequence[Search | None],
    ) -> NDArray[np.int8]:
        """(states, bytes) states of each shopper's search, if any, and of the items after it.

        Args:
            rows: (items,) rows of the items of all shoppers.
            counts: (shoppers,) number of items of each.
            searches: Search of each shopper.
        """
        states = self.states[rows]
        found = [(at, one.state) for at, one in enumerate(searches) if one is not None]
        if not found:
            return states
        starts = np.cumsum(counts) - counts
        places, own = zip(*found, strict=True)
        return np.insert(states, starts[list(places)], np.stack(own), axis=0)

    def save(self, folder: Path) -> None:
        """Write states, step sizes, word rarities and options."""
        np.save(folder / ITEM_STATES, self.states)
        np.save(folder / STEPS, self.steps)
        self.rarity.save(folder / RARITY)
        (folder / OPTIONS).write_text(json.dumps({"length": self.length}))

    @classmethod
    def load(cls, folder: Path) -> "AttentionInputs":
        """Map the files that `save` wrote."""
        return cls(
            states=read_array(folder / ITEM_STATES),
            steps=np.load(folder / STEPS),
            rarity=WordRarity.load(folder / RARITY),
            length=json.loads((folder / OPTIONS).read_text())["length"],
        )


def _steps(states: NDArray[np.float32]) -> NDArray[np.float32]:
    """(columns,) step sizes that map a column's largest absolute value to `MAX_STEPS`."""
    largest = np.maximum(states.max(axis=0, initial=0.0), -states.min(axis=0, initial=0.0))
    steps: NDArray[np.float32] = np.maximum(largest / MAX_STEPS, SMALLEST_STEP)
    return steps


def _in_steps(states: NDArray[np.float32], steps: NDArray[np.float32]) -> NDArray[np.int8]:
    rounded = np.rint(states / steps).clip(-MAX_STEPS, MAX_STEPS)
    quantised: NDArray[np.int8] = rounded.astype(np.int8)
    return quantised
