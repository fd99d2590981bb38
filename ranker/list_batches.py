"""Batches of histories and candidates, labelled bought or not, for listwise training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backbone.batch import Batch, TokenBatch
from dataset.cases import Cases
from evaluation.metrics import Gains, gains_at
from lineage.processes import Processes
from ranker.attention.inputs import AttentionBatch, AttentionInputs
from ranker.joint.inputs import RankerInputs
from ranker.late.inputs import LateBatch, LateInputs
from ranker.search import Search, Searches
from ranker.shortlists import Shortlists


@dataclass(frozen=True, kw_only=True)
class ListBatch(Batch):
    """Lists of candidates, concatenated."""

    pairs: TokenBatch | LateBatch | AttentionBatch
    """The model's input for all lists"""
    shortlist_scores: Tensor
    """(lists × candidates,) logits"""
    features: Tensor
    """(lists × candidates, features)"""
    present: Tensor
    """(lists, candidates) bool: false for padding"""
    gains: Tensor
    """(lists, candidates) relevance of what the user bought next, 0 for other candidates"""
    weight: Tensor
    """Scalar: weight of the loss among the processes that train together, 1 on average"""


@dataclass(frozen=True, kw_only=True)
class ListCollator:
    """Draws candidates from users' shortlists: the bought ones, and others at random.

    The draw depends only on the seed and the list, so a resumed training sees the same lists.
    """

    histories: Sequence[NDArray[np.int32]]
    """History of every list's user, item rows, oldest first"""
    targets: Sequence[NDArray[np.int32]]
    """Item rows that every list's user bought next"""
    shortlists: Shortlists
    inputs: RankerInputs | LateInputs | AttentionInputs
    candidates: int
    """Candidates per list at most"""
    seed: int
    gains: Gains = None
    """Relevance of each target; None if all are 1"""
    searches: Searches = None
    """Search of every list's user"""
    processes: Processes = Processes()
    """Each builds its share of the lists"""

    def __call__(self, batch: Sequence[int]) -> ListBatch:
        """Build this process's share of a batch of rows of the shortlists."""
        chosen = np.asarray(batch)[self.processes.owns(len(batch))].tolist()
        weight = self.processes.weight(len(chosen), len(batch))
        places, gains = zip(*(self._draw(row) for row in chosen), strict=True)
        width = max(len(drawn) for drawn in places)
        table = np.stack([np.pad(drawn, (0, width - len(drawn)), "edge") for drawn in places])
        lists = np.asarray(chosen)[:, None]
        features = self.shortlists.features[lists, table]
        return ListBatch(
            pairs=self._pairs(chosen, self.shortlists.rows[lists, table]),
            shortlist_scores=torch.from_numpy(self.shortlists.scores[lists, table].ravel()),
            features=torch.from_numpy(features.reshape(-1, features.shape[-1])),
            present=torch.from_numpy(
                np.arange(width) < np.array([len(drawn) for drawn in places])[:, None]
            ),
            gains=torch.from_numpy(
                np.stack([np.pad(labels, (0, width - len(labels))) for labels in gains])
            ),
            weight=torch.tensor(weight, dtype=torch.float32),
        )

    def _pairs(
        self, chosen: Sequence[int], rows: NDArray[np.int32]
    ) -> TokenBatch | LateBatch | AttentionBatch:
        histories = [self.histories[row] for row in chosen]
        if self.searches is None or not isinstance(self.inputs, AttentionInputs):
            return self.inputs(histories, rows)
        return self.inputs(histories, rows, [self.searches[row] for row in chosen])

    def _draw(self, row: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Places drawn from a shortlist, and their gains; at most half of them were bought."""
        recalled = self.shortlists.rows[row]
        bought = np.isin(recalled, self.targets[row]) & (recalled >= 0)
        order = np.random.default_rng((self.seed, row)).permutation(np.flatnonzero(recalled >= 0))
        positives, negatives = order[bought[order]], order[~bought[order]]
        places = np.concatenate([positives[: max(self.candidates // 2, 1)], negatives])
        places = places[: self.candidates]
        if self.gains is None:
            return places, bought[places].astype(np.float32)
        targets, of_targets = [self.targets[row]], [self.gains[row]]
        return places, gains_at(recalled[None, places], targets, of_targets)[0].astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class ValidationLists:
    """History, item rows, scores and features of each user whom the ranker is validated on."""

    histories: Sequence[NDArray[np.int32]]
    rows: NDArray[np.int32]
    """(users, ranked) item rows; -1 for padding"""
    scores: NDArray[np.float32]
    features: NDArray[np.float32]
    searches: Searches = None

    @classmethod
    def of(
        cls,
        cases: Cases,
        shortlists: Shortlists,
        part: slice,
        ranked: int,
        searches: Searches = None,
    ) -> "ValidationLists":
        """The heads of some users' shortlists.

        Args:
            cases: Histories of all users of the shortlists.
            shortlists: The shortlists.
            part: Places of the users.
            ranked: Items of each list that are ranked.
            searches: Searches of all users of the shortlists.
        """
        return cls(
            histories=cases.histories[part],
            rows=shortlists.rows[part, :ranked],
            scores=shortlists.scores[part, :ranked],
            features=shortlists.features[part, :ranked],
            searches=None if searches is None else searches[part],
        )

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(
        self, user: int
    ) -> tuple[
        NDArray[np.int32],
        NDArray[np.int32],
        NDArray[np.float32],
        NDArray[np.float32],
        Search | None,
    ]:
        rows = self.rows[user]
        present = rows >= 0
        return (
            self.histories[user],
            rows[present],
            self.scores[user][present],
            self.features[user][present],
            None if self.searches is None else self.searches[user],
        )
