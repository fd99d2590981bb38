"""Inputs of the late-joining ranker: word pieces of histories, stored states of candidates."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from backbone.batch import Batch, TokenBatch, pad
from backbone.load import load_tokenizer
from backbone.tokens import SpecialTokens, TokenTable, history_input
from ranker.joint.inputs import PART
from ranker.late.item_states import ItemStates

OPTIONS = "inputs.json"


@dataclass(frozen=True, kw_only=True)
class LateBatch(Batch):
    """Shoppers, each with the same number of candidates."""

    prefix: TokenBatch
    """(shoppers, length) word pieces of histories"""
    states: Tensor
    """(shoppers, candidates, tokens, hidden) states of the candidates below the joined layers"""
    present: Tensor
    """(shoppers, candidates, tokens) bool: false for padding"""


@dataclass(frozen=True, kw_only=True)
class LateInputs:
    """Turns histories and candidates into batches for the late-joining ranker."""

    titles: TokenTable
    """Word pieces of every item's title."""
    items: ItemStates
    special: SpecialTokens
    history_tokens: int
    """Most word pieces of a history."""

    def __call__(
        self,
        histories: Sequence[NDArray[np.int32]],
        candidates: Sequence[NDArray[np.int32]] | NDArray[np.int32],
    ) -> LateBatch:
        """Pair every history with its candidates.

        Args:
            histories: Item rows of each shopper, oldest first.
            candidates: Item rows to be scored for each shopper, the same number for each.
        """
        prefixes = [
            history_input(self.titles, history, self.special, max_tokens=self.history_tokens)
            for history in histories
        ]
        states, present = self.items.of(np.stack(list(candidates)))
        return LateBatch(prefix=pad(prefixes, self.special.pad), states=states, present=present)

    def save(self, folder: Path) -> None:
        """Write word pieces and options; `write_item_states` has already written the states."""
        self.titles.save(folder, "titles")
        (folder / OPTIONS).write_text(json.dumps({"history_tokens": self.history_tokens}))

    @classmethod
    def load(cls, folder: Path) -> "LateInputs":
        """Map the saved files; the special tokens come from the tokenizer in the folder."""
        return cls(
            titles=TokenTable.load(folder, "titles"),
            items=ItemStates.load(folder),
            special=SpecialTokens.of(load_tokenizer(str(folder / PART))),
            history_tokens=json.loads((folder / OPTIONS).read_text())["history_tokens"],
        )
