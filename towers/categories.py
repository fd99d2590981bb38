"""Values of one attribute of the items, which the item tower learns beside what is bought next.

Source: Caruana, "Multitask learning", Machine Learning 1997.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from dataset.postings import KeywordPostings, load_postings
from lineage.stages import DATA
from towers.config import TowersConfig

MOST = 10_000
"""Most values of an attribute"""
HELD_OUT = 0.1
"""Share of the items whose values are not learnt: they show how well values are predicted"""


@dataclass(frozen=True, kw_only=True)
class Categories:
    """The values of the items, some of which are held out."""

    values: Sequence[str]
    owners: NDArray[np.int64]
    """(pairs,) item rows, ascending"""
    numbers: NDArray[np.int64]
    """(pairs,) numbers of their values"""
    held_out: NDArray[np.int64]
    """(some items,) rows of items with a value that is not learnt, ascending"""

    @classmethod
    def of(cls, folder: Path, attribute: str, items: int, *, seed: int) -> "Categories":
        """The values of an attribute.

        Args:
            folder: Folder of the finished data stage.
            attribute: Name of an attribute of keywords.
            items: Number of items.
            seed: Seed that chooses the items held out.

        Raises:
            ValueError: there is no such attribute, or it has fewer than 2 or too many values.
        """
        keywords = {
            name: postings
            for name, (kind, postings) in load_postings(folder).items()
            if kind == "keyword" and isinstance(postings, KeywordPostings)
        }
        if attribute not in keywords:
            raise ValueError(
                f"category must be an attribute of keywords, one of {sorted(keywords)}, "
                f"got {attribute!r}"
            )
        postings = keywords[attribute]
        if not 2 <= len(postings.values) <= MOST:
            raise ValueError(
                f"category must have 2 to {MOST:,} values, got {len(postings.values):,} of "
                f"{attribute!r}"
            )
        owners, numbers = postings.values_of(np.arange(items))
        labelled = np.random.default_rng(seed).permutation(np.unique(owners))
        return cls(
            values=list(postings.values),
            owners=owners,
            numbers=numbers,
            held_out=np.sort(labelled[: math.ceil(HELD_OUT * len(labelled))]),
        )

    def shares(self) -> tuple[Tensor, Tensor]:
        """What is learnt: (items + 1,) starts, and (pairs,) numbers of each item's values."""
        kept = ~np.isin(self.owners, self.held_out)
        starts = np.searchsorted(self.owners[kept], np.arange(self.owners.max(initial=-1) + 2))
        return torch.from_numpy(starts), torch.from_numpy(self.numbers[kept])

    def accuracy(self, likeliest: NDArray[np.int64]) -> dict[str, float]:
        """Shares of the held-out items that have the value predicted, and the most frequent one.

        Args:
            likeliest: (held-out items,) numbers of the likeliest values.
        """
        learnt = self.numbers[~np.isin(self.owners, self.held_out)]
        frequent = int(np.bincount(learnt, minlength=len(self.values)).argmax())
        own = {(int(row), int(of)) for row, of in zip(self.owners, self.numbers, strict=True)}
        return {
            name: round(float(np.mean([pair in own for pair in zip(rows, found, strict=True)])), 4)
            for name, rows, found in (
                ("predicted", self.held_out.tolist(), likeliest.tolist()),
                ("most frequent", self.held_out.tolist(), [frequent] * len(self.held_out)),
            )
        }


def categories_of(config: TowersConfig, root: Path, items: int) -> Categories | None:
    """The values that towers learn of a dataset's items; None if they learn none.

    Args:
        config: Options of the towers.
        root: Folder of the dataset's stages.
        items: Number of items.

    Raises:
        ValueError: as `Categories.of` does.
    """
    if not config.category:
        return None
    return Categories.of(root / DATA, config.category, items, seed=config.training.seed)


class CategoryHead(nn.Module):
    """Predicts the values of items from their embeddings."""

    starts: Tensor
    numbers: Tensor

    def __init__(self, categories: Categories, dimension: int) -> None:
        """A head of zeros.

        Args:
            categories: Values to learn.
            dimension: Dimension of an embedding.
        """
        super().__init__()
        self.linear = nn.Linear(dimension, len(categories.values))
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.length = math.sqrt(dimension)
        starts, numbers = categories.shares()
        self.register_buffer("starts", starts, persistent=False)
        self.register_buffer("numbers", numbers, persistent=False)

    def forward(self, items: Tensor) -> Tensor:
        """(items, values) logits, from embeddings (items, dimension) of unit length."""
        logits: Tensor = self.linear(self.length * items)
        return logits

    def loss(self, items: Tensor, rows: Tensor) -> Tensor:
        """Mean cross-entropy of the items whose values are learnt, nats; 0 if none are.

        An item with several values has each in equal share.

        Args:
            items: (items, dimension) embeddings of unit length.
            rows: (items,) their rows.
        """
        known = rows.clamp(max=len(self.starts) - 2)
        first, last = self.starts[known], self.starts[known + 1]
        counts = torch.where(rows == known, last - first, 0)
        own = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), counts)
        if not len(own):
            return items.new_zeros(())
        ends = counts.cumsum(0)
        within = torch.arange(len(own), device=rows.device) - (ends - counts)[own]
        losses = functional.cross_entropy(
            self(items)[own], self.numbers[first[own] + within], reduction="none"
        )
        return (losses / counts[own]).sum() / (counts > 0).sum()
