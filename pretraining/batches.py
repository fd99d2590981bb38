"""Builds batches of pairs of texts, with masked words in the second ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backbone.batch import Batch
from backbone.text_parts import TextParts, in_parts
from backbone.tokens import Ids
from pretraining.masking import Masking
from pretraining.source import Examples

PART_TOKENS = 2_048
"""Padded tokens of a part of a batch"""


@dataclass(frozen=True, kw_only=True)
class Words(Batch):
    """Masked words of some texts."""

    places: Tensor
    """(words,) int64 places among the tokens of all parts, each part flattened with its padding"""
    ids: Tensor
    """(words,) int64 word pieces that stood there"""


@dataclass(frozen=True, kw_only=True)
class PairBatch(Batch):
    """Pairs of texts; equal first texts, and equal second ones, are read once."""

    first: TextParts
    second: TextParts
    anchors: Tensor
    """(pairs,) int64 place of each pair's first text in `first`"""
    partners: Tensor
    """(pairs,) int64 place of each pair's second text in `second`"""
    related: Tensor
    """(pairs, pairs) bool: second texts that are no negatives of the first ones"""
    words: Words | None
    """Masked words of `second`; None if none are masked"""


@dataclass(frozen=True, kw_only=True)
class PairBatches:
    """Collates pairs of texts."""

    examples: Examples
    inputs: Sequence[Ids]
    """Word pieces of every text, with special tokens"""
    pad_id: int
    masking: Masking | None
    seed: int

    def __call__(self, chosen: Sequence[int]) -> PairBatch:
        """Build the batch of some pairs, by their position."""
        rng = np.random.default_rng([self.seed, *chosen[:8]])
        first, second = self.examples.drawn(np.asarray(chosen, np.int64), rng)
        anchors, of_anchor = np.unique(first, return_inverse=True)
        partners, of_partner = np.unique(second, return_inverse=True)
        seconds, words = masked_parts(
            [self.inputs[number] for number in partners], self.masking, self.pad_id, rng
        )
        related = self.examples.source.related(first, second)
        np.fill_diagonal(related, val=False)
        return PairBatch(
            first=in_parts([self.inputs[number] for number in anchors], PART_TOKENS, self.pad_id),
            second=seconds,
            anchors=torch.from_numpy(of_anchor),
            partners=torch.from_numpy(of_partner),
            related=torch.from_numpy(related),
            words=words,
        )


def masked_parts(
    inputs: Sequence[Ids], masking: Masking | None, pad_id: int, rng: np.random.Generator
) -> tuple[TextParts, Words | None]:
    """Texts in parts, with some words masked, if any are."""
    if masking is None:
        return in_parts(inputs, PART_TOKENS, pad_id), None
    hidden, places = masking(inputs, rng)
    parts = in_parts(hidden, PART_TOKENS, pad_id)
    widths = [part.ids.shape for part in parts.parts]
    starts: list[NDArray[np.int64]] = []
    before = 0
    for rows, width in widths:
        starts.append(before + width * np.arange(rows))
        before += rows * width
    start_of = np.concatenate(starts)[parts.order.numpy()]
    return parts, Words(
        places=torch.from_numpy(
            np.concatenate([start + own for start, own in zip(start_of, places, strict=True)])
        ),
        ids=torch.from_numpy(
            np.concatenate([ids[own] for ids, own in zip(inputs, places, strict=True)]).astype(
                np.int64
            )
        ),
    )
