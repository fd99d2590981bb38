"""Masks words of texts, which the backbone learns to fill in."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from backbone.tokens import Ids

MASKED, CHANGED = 0.8, 0.9
"""Of the chosen word pieces, the share that is masked, and with those that another one replaces;
the rest stay"""


@dataclass(frozen=True, kw_only=True)
class Masking:
    """Chooses word pieces and hides most of them (Devlin et al., "BERT", NAACL 2019)."""

    mask_id: int
    vocabulary: int
    """Word pieces that a replaced one is drawn from"""
    special: frozenset[int]
    """Ids that are never chosen"""
    share: float

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, share: float) -> "Masking":
        """The masking of a tokenizer's word pieces.

        Raises:
            ValueError: the tokenizer has no mask, as those of decoders.
        """
        if not isinstance(tokenizer.mask_token_id, int):
            raise ValueError(
                "backbone must have a token that masks words, got one without; add --words=0"
            )
        return cls(
            mask_id=tokenizer.mask_token_id,
            vocabulary=len(tokenizer),
            special=frozenset(tokenizer.all_special_ids),
            share=share,
        )

    def __call__(
        self, inputs: Sequence[Ids], rng: np.random.Generator
    ) -> tuple[list[Ids], list[NDArray[np.int64]]]:
        """Texts with some word pieces hidden, and for each the places of those that were chosen.

        At least one word piece of a text is chosen, if it has any.
        """
        texts, places = [], []
        for ids in inputs:
            words = np.flatnonzero(~np.isin(ids, list(self.special)))
            size = min(max(1, round(self.share * len(words))), len(words))
            chosen = np.sort(rng.permutation(words)[:size])
            draws, hidden = rng.random(size), ids.copy()
            hidden[chosen[draws < MASKED]] = self.mask_id
            others = chosen[(draws >= MASKED) & (draws < CHANGED)]
            hidden[others] = rng.integers(self.vocabulary, size=len(others))
            texts.append(hidden)
            places.append(chosen)
        return texts, places
