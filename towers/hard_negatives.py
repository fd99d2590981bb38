"""Mines hard negatives: items that the current towers rank high, but that were not bought."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dataset.training_examples import TrainingExamples
from towers.inputs import Twins

DEPTH = 50
"""Nearest items that are considered"""
LISTED = 16
"""Most hard negatives per training example"""
BLOCK = 512


class HardNegatives:
    """Hard negatives of some training examples, mined again before every epoch.

    Items that score nearly as high as the target are likely to be liked, too. So items at or above
    a share of the target's cosine are left out (de Souza Moreira et al., "NV-Retriever", 2024).
    """

    def __init__(
        self, examples: TrainingExamples, twins: Twins, *, items: int, margin: float
    ) -> None:
        """Start without hard negatives.

        Args:
            examples: All training examples.
            twins: Groups of items with equal titles; twins of positives are no negatives.
            items: Size of the corpus.
            margin: Share of the target's cosine below which an item is a negative.
        """
        self._examples, self._twins, self._margin = examples, twins, margin
        self._lists: dict[int, NDArray[np.int32]] = {}
        self.share = np.zeros(items)
        """(items,): probability that an item is drawn for a random training example"""

    def __len__(self) -> int:
        return len(self._lists)

    def draw(self, examples: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int32]:
        """Item rows: a random hard negative for each training example that has any."""
        lists = [self._lists[example] for example in examples.tolist() if example in self._lists]
        return np.array([rows[rng.integers(len(rows))] for rows in lists], np.int32)

    def renew(self, chosen: NDArray[np.int64], users: Tensor, items: Tensor) -> None:
        """Replace all hard negatives by newly mined ones.

        Args:
            chosen: (examples,) training examples to mine for.
            users: (examples, dimension) embeddings of the examples' shoppers.
            items: (items, dimension) embeddings of the corpus.
        """
        self._lists.clear()
        for start in range(0, len(chosen), BLOCK):
            block = chosen[start : start + BLOCK]
            cosines = users[start : start + BLOCK] @ items.T
            targets = torch.from_numpy(self._examples.targets[block].astype(np.int64))
            limit = self._margin * cosines.gather(1, targets.to(items.device)[:, None])
            best, rows = cosines.topk(min(DEPTH, len(items)), dim=1)
            usable = (best < limit).cpu().numpy()
            for example, nearest, below in zip(
                block.tolist(), rows.cpu().numpy(), usable, strict=True
            ):
                positives = self._twins.of(self._examples.positives(example))
                negatives = nearest[below & ~np.isin(nearest, positives)][:LISTED]
                if len(negatives):
                    self._lists[example] = negatives.astype(np.int32)
        self.share = np.zeros_like(self.share)
        for negatives in self._lists.values():
            self.share[negatives] += 1 / (len(negatives) * len(self._examples))
