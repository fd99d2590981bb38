"""Late joining: candidates meet the shopper in the top layers alone, the rest was computed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from backbone.batch import Batch, TokenBatch, pad
from backbone.load import load_tokenizer
from backbone.tokens import SpecialTokens, TokenTable, history_input
from ranker.inputs import PART
from ranker.item_states import ItemStates
from ranker.model import Corrector
from ranker.shared_prefix import joined, prefix_states

OPTIONS = "inputs.json"


@dataclass(frozen=True, kw_only=True)
class LateBatch(Batch):
    """Shoppers with as many candidates each."""

    prefix: TokenBatch
    """(shoppers, length) word pieces of histories"""
    states: Tensor
    """(shoppers, candidates, tokens, hidden) of the candidates, under the joined layers"""
    present: Tensor
    """(shoppers, candidates, tokens) bool"""


@dataclass(frozen=True, kw_only=True)
class LateInputs:
    """Turns histories and candidates into what the late ranker reads."""

    titles: TokenTable
    """Word pieces of every item's title."""
    items: ItemStates
    special: SpecialTokens
    history_tokens: int
    """Length of a history's part at most."""

    def __call__(
        self,
        histories: Sequence[NDArray[np.int32]],
        candidates: Sequence[NDArray[np.int32]] | NDArray[np.int32],
    ) -> LateBatch:
        """Pair every history with its candidates.

        Args:
            histories: Item rows of each shopper, oldest first.
            candidates: Item rows to be scored for each, as many for one as for another.
        """
        read = [
            history_input(self.titles, history, self.special, max_tokens=self.history_tokens)
            for history in histories
        ]
        states, present = self.items.of(np.stack(list(candidates)))
        return LateBatch(prefix=pad(read, self.special.pad), states=states, present=present)

    def save(self, folder: Path) -> None:
        """Write word pieces and options beside the item states, which are there already."""
        self.titles.save(folder, "titles")
        (folder / OPTIONS).write_text(json.dumps({"history_tokens": self.history_tokens}))

    @classmethod
    def load(cls, folder: Path) -> "LateInputs":
        """Map what `save` wrote; the framing tokens come from the tokenizer in the folder."""
        return cls(
            titles=TokenTable.load(folder, "titles"),
            items=ItemStates.load(folder),
            special=SpecialTokens.of(load_tokenizer(str(folder / PART))),
            history_tokens=json.loads((folder / OPTIONS).read_text())["history_tokens"],
        )


class LateRanker(Corrector):
    """Cross-attention in the top layers alone."""

    def __init__(self, bert: PreTrainedModel, signals: int, *, joined_layers: int) -> None:
        """Put a head on a backbone.

        Args:
            bert: Encoder.
            signals: Columns of the signals.
            joined_layers: How many of the top layers candidates meet the shopper in.
        """
        super().__init__(int(bert.config.hidden_size), signals)
        self.bert = bert
        self.joined_layers = joined_layers

    def forward(self, batch: LateBatch, shortlist_scores: Tensor, signals: Tensor) -> Tensor:
        """Score the candidates of every shopper.

        Args:
            batch: Shoppers and candidates.
            shortlist_scores: (shoppers × candidates,) scores in the shortlist, logits.
            signals: (shoppers × candidates, signals)

        Returns:
            (shoppers × candidates,) logits, float32.
        """
        prefix = prefix_states(self.bert, batch.prefix, joined_layers=self.joined_layers)
        states = joined(
            self.bert,
            batch.states.to(prefix[0].dtype),
            batch.present,
            prefix,
            batch.prefix.mask,
        )
        weights = batch.present.unsqueeze(-1).to(states.dtype)
        candidate = (states * weights).sum(-2) / weights.sum(-2).clamp(min=1)
        return self.corrected(candidate, shortlist_scores, self.standardised(signals))
