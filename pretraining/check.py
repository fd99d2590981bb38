"""What stops pre-training early: held-out pairs, or masked words of held-out texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backbone.text_parts import in_parts
from backbone.tokens import Ids
from pretraining.batches import masked_parts
from pretraining.masking import Masking
from pretraining.model import PretrainModel, TextReader
from pretraining.source import Examples

MOST = 2_000
"""Most held-out pairs, and texts with masked words"""
TOKENS = 4_096
"""Padded tokens of a part of the texts"""


class Check(Protocol):
    """A figure of held-out examples; higher is better."""

    @property
    def name(self) -> str:
        """Name of the figure."""
        ...

    def __call__(self, model: TextReader, device: torch.device) -> float:
        """The figure of a model in evaluation mode."""
        ...


@dataclass(frozen=True, kw_only=True)
class PairCheck:
    """Mean reciprocal rank of the next purchase's text among all that held-out shoppers bought."""

    first: NDArray[np.int32]
    """(pairs,) numbers of texts"""
    second: NDArray[np.int32]
    """(pairs,) numbers of the texts bought next"""
    inputs: Sequence[Ids]
    """Word pieces of every text"""
    pad_id: int
    name: str = "valid/mrr"

    def __call__(self, model: TextReader, device: torch.device) -> float:
        """The figure; a text is no candidate of its own."""
        texts, place = np.unique(np.concatenate([self.first, self.second]), return_inverse=True)
        inputs = [self.inputs[number] for number in texts]
        read = model.read(in_parts(inputs, TOKENS, self.pad_id).to(device))
        first, second = torch.from_numpy(place).to(device).chunk(2)
        scores = read[first] @ read.T
        own = torch.arange(len(first), device=device)
        wanted = scores[own, second, None]
        scores[own, first] = -torch.inf
        ranks = 1 + (scores > wanted).sum(dim=1)
        return float((1 / ranks).mean())


@dataclass(frozen=True, kw_only=True)
class WordCheck:
    """Share of the masked words of held-out texts that are filled in rightly."""

    inputs: Sequence[Ids]
    """Word pieces of the held-out texts"""
    masking: Masking
    pad_id: int
    seed: int
    name: str = "valid/words"

    def __call__(self, model: TextReader, device: torch.device) -> float:
        """The figure; the masked words are the same after every epoch."""
        assert isinstance(model, PretrainModel)
        rng = np.random.default_rng(self.seed)
        texts, words = masked_parts(self.inputs, self.masking, self.pad_id, rng)
        assert words is not None
        logits: Tensor | None = model.read_words(texts.to(device), words.to(device))[1]
        assert logits is not None
        return float((logits.argmax(dim=1) == words.ids.to(device)).float().mean())


def check_of(
    held: Examples, inputs: Sequence[Ids], masking: Masking | None, pad_id: int, seed: int
) -> Check | None:
    """The check of held-out examples; None if they decide nothing.

    Args:
        held: Held-out pairs, or texts if there are no pairs at all.
        inputs: Word pieces of every text, with special tokens.
        masking: How words are masked, if they are.
        pad_id: Id of the padding token.
        seed: Seed of the sample and of the masked words.
    """
    rng = np.random.default_rng(seed)
    if len(held.places):
        bought, places = held.source.purchases, np.sort(rng.permutation(held.places)[:MOST])
        first, second = bought[places], bought[places + 1]
        other = first != second
        if other.any():
            return PairCheck(first=first[other], second=second[other], inputs=inputs, pad_id=pad_id)
    chosen = rng.permutation(held.alone)[:MOST].tolist()
    if masking is None or not chosen:
        return None
    return WordCheck(
        inputs=[inputs[number] for number in chosen], masking=masking, pad_id=pad_id, seed=seed
    )
