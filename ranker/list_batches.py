"""Batches of (history, what was bought and what was not) for listwise training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backbone.batch import Batch, TokenBatch
from ranker.attention.inputs import AttentionBatch, AttentionInputs
from ranker.joint.inputs import RankerInputs
from ranker.late.inputs import LateBatch, LateInputs
from ranker.shortlists import Shortlists


@dataclass(frozen=True, kw_only=True)
class ListBatch(Batch):
    """Lists of candidates, one under another."""

    pairs: TokenBatch | LateBatch | AttentionBatch
    """What is read of all lists"""
    shortlist_scores: Tensor
    """(lists × candidates,) logits"""
    features: Tensor
    """(lists × candidates, features)"""
    present: Tensor
    """(lists, candidates) bool: false where a list is shorter"""
    bought: Tensor
    """(lists, candidates) bool"""


@dataclass(frozen=True, kw_only=True)
class ListCollator:
    """Draws candidates from some users' shortlists: what was bought, and others.

    The draw depends on the seed and on the list alone, so a training that resumes sees the same
    lists.
    """

    histories: Sequence[NDArray[np.int32]]
    """Of every list's user"""
    targets: Sequence[NDArray[np.int32]]
    """Item rows that every list's user bought next"""
    shortlists: Shortlists
    inputs: RankerInputs | LateInputs | AttentionInputs
    candidates: int
    """Of a list at most"""
    seed: int

    def __call__(self, chosen: Sequence[int]) -> ListBatch:
        """Build the batch of some rows of the shortlists."""
        places, bought = zip(*(self._draw(row) for row in chosen), strict=True)
        width = max(len(drawn) for drawn in places)
        table = np.stack([np.pad(drawn, (0, width - len(drawn)), "edge") for drawn in places])
        lists = np.asarray(chosen)[:, None]
        features = self.shortlists.features[lists, table]
        return ListBatch(
            pairs=self.inputs(
                [self.histories[row] for row in chosen], self.shortlists.rows[lists, table]
            ),
            shortlist_scores=torch.from_numpy(self.shortlists.scores[lists, table].ravel()),
            features=torch.from_numpy(features.reshape(-1, features.shape[-1])),
            present=torch.from_numpy(
                np.arange(width) < np.array([len(drawn) for drawn in places])[:, None]
            ),
            bought=torch.from_numpy(
                np.stack([np.pad(found, (0, width - len(found))) for found in bought])
            ),
        )

    def _draw(self, row: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Places in the shortlist and whether each was bought; at most half of them were."""
        recalled = self.shortlists.rows[row]
        bought = np.isin(recalled, self.targets[row]) & (recalled >= 0)
        order = np.random.default_rng((self.seed, row)).permutation(np.flatnonzero(recalled >= 0))
        found, others = order[bought[order]], order[~bought[order]]
        places = np.concatenate([found[: max(self.candidates // 2, 1)], others])
        places = places[: self.candidates]
        return places, bought[places]
