"""Inputs of the joint ranker; training, validation and serving build them by one function."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backbone.batch import TokenBatch, pad
from backbone.load import load_tokenizer
from backbone.tokens import SpecialTokens, TokenTable, history_input

PART = "model"
"""Folder of a ranker's model, and of its tokenizer where the model reads word pieces."""


@dataclass(frozen=True, kw_only=True)
class RankerInputs:
    """Turns (history, candidate) pairs of item rows into `[CLS] history [SEP] item [SEP]`."""

    texts: TokenTable
    """Word pieces of every item's rendered text."""
    titles: TokenTable
    """Word pieces of every item's title."""
    special: SpecialTokens
    history_tokens: int
    """Most word pieces of the history."""

    def __call__(
        self,
        histories: Sequence[NDArray[np.int32]],
        candidates: Sequence[NDArray[np.int32]] | NDArray[np.int32],
    ) -> TokenBatch:
        """Pair every history with each of its candidates.

        Args:
            histories: Item rows of each shopper, oldest first.
            candidates: Item rows to be scored for each shopper.

        Returns:
            All pairs, grouped by shopper; segment 1 is the candidate.
        """
        sequences, first_lengths = [], []
        for history, rows in zip(histories, candidates, strict=True):
            prefix = history_input(
                self.titles, history, self.special, max_tokens=self.history_tokens
            )
            for row in rows:
                sequences.append(np.concatenate([prefix, self.texts[int(row)], self._end]))
                first_lengths.append(len(prefix))
        return pad(sequences, self.special.pad, first_lengths=first_lengths)

    @property
    def _end(self) -> NDArray[np.int32]:
        return np.array([self.special.sep], np.int32)

    def save(self, folder: Path) -> None:
        """Write the word pieces and the token budget."""
        self.texts.save(folder, "texts")
        self.titles.save(folder, "titles")
        (folder / "inputs.json").write_text(json.dumps({"history_tokens": self.history_tokens}))

    @classmethod
    def load(cls, folder: Path) -> "RankerInputs":
        """Map the saved files; the special tokens come from the tokenizer in the folder."""
        return cls(
            texts=TokenTable.load(folder, "texts"),
            titles=TokenTable.load(folder, "titles"),
            special=SpecialTokens.of(load_tokenizer(str(folder / PART))),
            history_tokens=json.loads((folder / "inputs.json").read_text())["history_tokens"],
        )
