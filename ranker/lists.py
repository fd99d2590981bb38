"""Batches of (history, target and negatives) for listwise training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backbone.batch import TokenBatch
from dataset.points import TrainingPoints
from ranker.inputs import RankerInputs
from ranker.late import LateBatch, LateInputs
from ranker.shortlists import Shortlists


@dataclass(frozen=True, kw_only=True)
class ListBatch:
    """Lists of a target and its negatives, one under another."""

    pairs: TokenBatch | LateBatch
    """What is read of all lists"""
    shortlist_scores: Tensor
    """(lists × (1 + negatives),) logits"""
    present: Tensor
    """(lists, 1 + negatives) bool: false where a list ran out of negatives"""

    def to(self, device: torch.device) -> "ListBatch":
        """The same batch on a device."""
        return ListBatch(
            pairs=self.pairs.to(device),
            shortlist_scores=self.shortlist_scores.to(device),
            present=self.present.to(device),
        )


@dataclass(frozen=True, kw_only=True)
class ListCollator:
    """Draws the negatives of some training points from their shortlists.

    Whatever the user has in the training split is no negative. The draw depends on the seed and
    on the point alone, so a training that resumes sees the same lists.
    """

    points: TrainingPoints
    shortlists: Shortlists
    inputs: RankerInputs | LateInputs
    negatives: int
    seed: int

    def __call__(self, chosen: Sequence[int]) -> ListBatch:
        """Build the batch of some rows of the shortlists."""
        lists = [self._draw(row) for row in chosen]
        histories = [self.points.history(int(self.shortlists.points[row])) for row in chosen]
        return ListBatch(
            pairs=self.inputs(histories, [rows for rows, _, _ in lists]),
            shortlist_scores=torch.from_numpy(np.concatenate([scores for _, scores, _ in lists])),
            present=torch.from_numpy(np.stack([present for _, _, present in lists])),
        )

    def _draw(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.bool_]]:
        """Item rows, scores and presence of one list, each (1 + negatives,)."""
        point = int(self.shortlists.points[row])
        recalled, logits = self.shortlists.rows[row], self.shortlists.scores[row]
        place = np.flatnonzero(recalled == self.points.targets[point])
        usable = np.flatnonzero((recalled >= 0) & ~np.isin(recalled, self.points.positives(point)))
        drawn = np.random.default_rng((self.seed, row)).permutation(usable)[: self.negatives]
        missing = np.repeat(place, self.negatives - len(drawn))
        places = np.concatenate([place, drawn, missing])
        present = np.arange(1 + self.negatives) <= len(drawn)
        return recalled[places], logits[places], present
