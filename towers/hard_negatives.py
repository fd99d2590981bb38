"""Items that the towers of the moment rank high for a purchase that was another one."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dataset.training_examples import TrainingPoints
from towers.inputs import Twins

DEPTH = 50
"""Nearest items that are looked at"""
LISTED = 16
"""Hard negatives a training point at most"""
BLOCK = 512


class HardNegatives:
    """Lists of hard negatives for some of the training points, renewed as the towers learn.

    What scores nearly as much as the target is likely to be liked too: items above a share of the
    target's cosine are left out (de Souza Moreira et al., "NV-Retriever", 2024).
    """

    def __init__(self, points: TrainingPoints, twins: Twins, *, items: int, margin: float) -> None:
        """Begin without any.

        Args:
            points: The training points.
            twins: Items of equal titles; the positives' twins are no negatives.
            items: Size of the corpus.
            margin: Share of the target's cosine up to which an item is a negative.
        """
        self._points, self._twins, self._margin = points, twins, margin
        self._lists: dict[int, NDArray[np.int32]] = {}
        self.share = np.zeros(items)
        """(items,): chance of each item being drawn for a training point"""

    def __len__(self) -> int:
        return len(self._lists)

    def draw(self, points: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int32]:
        """One hard negative for each of the points that have some."""
        lists = [self._lists[point] for point in points.tolist() if point in self._lists]
        return np.array([rows[rng.integers(len(rows))] for rows in lists], np.int32)

    def renew(self, chosen: NDArray[np.int64], users: Tensor, items: Tensor) -> None:
        """Mine for some points with the towers as they are, and forget what was mined before.

        Args:
            chosen: (points,) training points.
            users: (points, dimension) their shoppers' embeddings.
            items: (items, dimension) the corpus.
        """
        self._lists.clear()
        for start in range(0, len(chosen), BLOCK):
            block = chosen[start : start + BLOCK]
            cosines = users[start : start + BLOCK] @ items.T
            targets = torch.from_numpy(self._points.targets[block].astype(np.int64))
            limit = self._margin * cosines.gather(1, targets.to(items.device)[:, None])
            best, rows = cosines.topk(min(DEPTH, len(items)), dim=1)
            usable = (best < limit).cpu().numpy()
            for point, nearest, kept in zip(
                block.tolist(), rows.cpu().numpy(), usable, strict=True
            ):
                positives = self._twins.of(self._points.positives(point))
                negatives = nearest[kept & ~np.isin(nearest, positives)][:LISTED]
                if len(negatives):
                    self._lists[point] = negatives.astype(np.int32)
        self.share = np.zeros_like(self.share)
        for negatives in self._lists.values():
            self.share[negatives] += 1 / (len(negatives) * len(self._points))
