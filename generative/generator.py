"""Generates items for histories: decoder, codes and trie together; importable without Lightning."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generative.beam import BeamSearch
from generative.decoder import Decoder
from generative.trie import Remaining, Trie
from index.arrays import Rows, Scores

SHOPPERS_AT_ONCE = 64
"""Shoppers whose beams are searched together"""


@dataclass(frozen=True, kw_only=True)
class Generator:
    """What is needed to generate items of one catalogue."""

    decoder: Decoder
    codes: Tensor
    """(items, levels) semantic ids"""
    trie: Trie

    def __call__(
        self,
        histories: Sequence[Rows],
        excluded: Sequence[Rows],
        allowed: Sequence[NDArray[np.integer] | None],
        size: int,
    ) -> list[tuple[Rows, Scores]]:
        """Item rows and their log probabilities of each shopper, (found,) both, best first.

        Each shopper gets `size` items, or all that remain if they are fewer; nothing without a
        history.

        Args:
            histories: Item rows, oldest first; rows that have no codes are skipped.
            excluded: Item rows that are not generated.
            allowed: Item rows to choose from; None for all.
            size: Items wanted.
        """
        known = [history[history < len(self.codes)] for history in histories]
        found = [(np.empty(0, np.int32), np.empty(0, np.float32)) for _ in histories]
        places = [place for place, history in enumerate(known) if len(history)]
        for start in range(0, len(places), SHOPPERS_AT_ONCE):
            chosen = places[start : start + SHOPPERS_AT_ONCE]
            remaining = [self._remaining(excluded[place], allowed[place]) for place in chosen]
            search = BeamSearch(
                decoder=self.decoder, trie=self.trie, remaining=remaining, size=size
            )
            with torch.inference_mode():
                generated = search(self.states([known[place] for place in chosen]))
            for place, (rows, log_probabilities) in zip(chosen, generated, strict=True):
                found[place] = rows.astype(np.int32), log_probabilities
        return found

    def _remaining(self, excluded: Rows, allowed: NDArray[np.integer] | None) -> Remaining:
        items = len(self.codes)
        return Remaining.of(
            self.trie,
            excluded[excluded < items],
            None if allowed is None else allowed[allowed < items],
        )

    def states(self, histories: Sequence[Rows]) -> Tensor:
        """(shoppers, width of the decoder) states after histories of at least one item each."""
        newest = [history[-self.decoder.length :] for history in histories]
        filled = np.zeros((len(newest), max(map(len, newest))), np.int64)
        for place, history in enumerate(newest):
            filled[place, : len(history)] = history
        states = self.decoder.states(self.codes[torch.from_numpy(filled).to(self.codes.device)])
        last = torch.tensor([len(history) - 1 for history in newest])
        return states[torch.arange(len(newest)), last]
