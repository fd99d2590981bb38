"""What the fast ranker reads: states and words of items, a byte a number, gathered for shoppers."""

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
from dataset.append_only import Extended
from lineage.stages import ITEM_STATES
from ranker.attention.word_overlap import (
    BYTES,
    MATCHES,
    WordRarity,
    Words,
    as_bytes,
    from_bytes,
    matches,
)

STEPS, OPTIONS = "item_states.steps.npy", "inputs.json"
RARITY = "words.npz"
MOST_STEPS = 127
"""From zero, that a byte has room for"""
SMALLEST_STEP = 1e-9
AT_ONCE = 65_536
"""Items whose numbers are divided at once"""


@dataclass(frozen=True, kw_only=True)
class AttentionBatch(Batch):
    """Shoppers with as many candidates each."""

    history: Tensor
    """(shoppers, length, hidden) states of the history's items, the last one first"""
    known: Tensor
    """(shoppers, length) bool: whether there is an item"""
    candidates: Tensor
    """(shoppers, candidates, hidden) states of the candidates"""
    matches: Tensor
    """(shoppers, candidates, length, matches) words that both have, see
    `ranker.attention.word_overlap.matches`"""


@dataclass(frozen=True, kw_only=True)
class AttentionInputs:
    """Turns histories and candidates into what the fast ranker reads.

    A byte is kept of every number: how many steps it is from zero, where its column has steps of
    the same size (symmetric quantisation; Jacob et al., CVPR 2018).
    """

    states: NDArray[np.int8] | Extended[np.int8]
    """(items, hidden + bytes of words) in steps: mean of the states of an item's text, of unit
    length; beside it the item's embedding, of length √dimension; then the words of its text"""
    steps: NDArray[np.float32]
    """(hidden,) size of a column's step"""
    rarity: WordRarity
    """Of the corpus's words"""
    length: int
    """Newest items of a history that are read"""

    @classmethod
    def of(
        cls, parts: Sequence[NDArray[np.float32]], texts: Sequence[str], *, length: int
    ) -> "AttentionInputs":
        """Keep what is known of a corpus.

        Args:
            parts: (items, …) each, columns beside columns.
            texts: Of the items.
            length: As above.
        """
        steps, rarity = np.concatenate([_steps(part) for part in parts]), WordRarity.of(texts)
        states, start = np.empty((len(parts[0]), len(steps) + BYTES), np.int8), 0
        for part in parts:
            columns = slice(start, start := start + part.shape[1])
            for row in range(0, len(part), AT_ONCE):
                rows = slice(row, row + AT_ONCE)
                states[rows, columns] = _in_steps(part[rows], steps[columns])
        for row in range(0, len(texts), AT_ONCE):
            rows = slice(row, row + AT_ONCE)
            states[rows, start:] = as_bytes(rarity.read(texts[rows]))
        return cls(states=states, steps=steps, rarity=rarity, length=length)

    def kept(self, states: NDArray[np.float32], texts: Sequence[str]) -> NDArray[np.int8]:
        """(items, hidden + bytes of words) of other items, as those of the corpus are kept.

        Args:
            states: (items, hidden); what lies beyond the corpus is cut.
            texts: Of the items.
        """
        words = as_bytes(self.rarity.read(texts))
        return np.concatenate([_in_steps(states, self.steps), words], axis=1)

    def read(self, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """(…, hidden) states of the items of (…,) rows."""
        return self.states[rows][..., : len(self.steps)] * self.steps

    def words(self, rows: NDArray[np.int32]) -> Words:
        """(…, words) of the texts of the items of (…,) rows."""
        return from_bytes(self.states[rows][..., len(self.steps) :])

    def __call__(
        self,
        histories: Sequence[NDArray[np.int32]],
        candidates: Sequence[NDArray[np.int32]] | NDArray[np.int32],
    ) -> AttentionBatch:
        """Pair every history with its candidates.

        Args:
            histories: Item rows of each shopper, oldest first.
            candidates: Item rows to be scored for each, as many for one as for another.
        """
        newest = [history[-self.length :][::-1] for history in histories]
        lengths = np.array([len(history) for history in newest])
        width = padded_width(int(lengths.max(initial=0)), self.length)
        known = np.arange(width) < lengths[:, None]
        rows, of_history = np.stack(list(candidates)), np.concatenate(newest)
        history = np.zeros((*known.shape, len(self.steps)), np.float32)
        history[known] = self.read(of_history)
        common = np.zeros((*rows.shape, known.shape[1], len(MATCHES)), np.float32)
        words = np.split(self.words(of_history), np.cumsum(lengths)[:-1])
        for shopper, of_candidates in enumerate(self.words(rows)):
            common[shopper, :, : lengths[shopper]] = matches(words[shopper], of_candidates)
        return AttentionBatch(
            history=torch.from_numpy(history),
            known=torch.from_numpy(known),
            candidates=torch.from_numpy(self.read(rows)),
            matches=torch.from_numpy(common),
        )

    def save(self, folder: Path) -> None:
        """Write the states and the options."""
        np.save(folder / ITEM_STATES, self.states)
        np.save(folder / STEPS, self.steps)
        self.rarity.save(folder / RARITY)
        (folder / OPTIONS).write_text(json.dumps({"length": self.length}))

    @classmethod
    def load(cls, folder: Path) -> "AttentionInputs":
        """Map what `save` wrote."""
        return cls(
            states=np.load(folder / ITEM_STATES, mmap_mode="r"),
            steps=np.load(folder / STEPS),
            rarity=WordRarity.load(folder / RARITY),
            length=json.loads((folder / OPTIONS).read_text())["length"],
        )


def _steps(states: NDArray[np.float32]) -> NDArray[np.float32]:
    """(columns,): so large that the largest number of a column is the last step."""
    largest = np.maximum(states.max(axis=0, initial=0.0), -states.min(axis=0, initial=0.0))
    steps: NDArray[np.float32] = np.maximum(largest / MOST_STEPS, SMALLEST_STEP)
    return steps


def _in_steps(states: NDArray[np.float32], steps: NDArray[np.float32]) -> NDArray[np.int8]:
    kept: NDArray[np.int8] = np.rint(states / steps).clip(-MOST_STEPS, MOST_STEPS).astype(np.int8)
    return kept
