"""Histories to learn from: what stands of each user in the training split, and what to predict."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dataset.arrays import TRAIN, Dataset
from dataset.cases import moment_starts
from dataset.interaction_codes import whole_seconds
from dataset.training_targets import sought

SORTED = 32
"""Batches whose sequences are sorted by length, so that little is filled up"""


class Batch(NamedTuple):
    """Sequences of one step, filled up at their ends."""

    items: Tensor
    """(sequences, items) item rows"""
    places: Tensor
    """(targets,) place, in the flattened sequences, of the state that predicts each target"""
    targets: Tensor
    """(targets,) item rows"""


@dataclass(frozen=True, kw_only=True)
class Sequences:
    """Users' interactions of the training split, oldest first."""

    items: NDArray[np.int32]
    """(interactions,) item rows, by user"""
    starts: NDArray[np.int64]
    """(sequences + 1,) sequence s is `items[starts[s]:starts[s + 1]]`"""
    before: NDArray[np.int64]
    """(interactions,) place of the last interaction before the moment of each one that is to be
    predicted; -1 for those that are not"""

    @classmethod
    def of(cls, data: Dataset, length: int) -> "Sequences":
        """Sequences of the users with something to predict, the last `length` + 1 interactions.

        Targets are as for the towers: items that are new to the user, or may come back. A target's
        history ends where its moment begins.
        """
        kept = np.flatnonzero(data.standing(np.asarray(data.splits) == TRAIN))
        users, items = data.user_of[kept], np.asarray(data.items)[kept]
        first = np.searchsorted(users, users)
        begins = moment_starts(users, np.asarray(data.moments)[kept])
        wanted = sought(
            users,
            items,
            begins,
            data.action_excludes[np.asarray(data.actions)[kept]],
            seconds=whole_seconds(np.asarray(data.times)[kept]) if data.timed else None,
            repeats=data.may_repeat,
        )
        ends = np.searchsorted(users, users, side="right")
        newest = np.arange(len(users)) >= ends - length - 1
        oldest = np.maximum(first, ends - length - 1)
        before = np.where(wanted & (begins > oldest), begins - 1, -1)
        has_target = np.zeros(data.users, bool)
        has_target[users[newest & (before >= 0)]] = True
        used = newest & has_target[users]
        moved = np.cumsum(used) - 1
        before = np.where(before >= 0, moved[before], -1)[used]
        return cls(
            items=items[used],
            starts=np.append(np.flatnonzero(np.diff(users[used], prepend=-1)), used.sum()),
            before=before,
        )

    def __len__(self) -> int:
        return len(self.starts) - 1

    def cut(self, order: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
        """Sequences in batches of about `size` interactions, alike in length, in a random order.

        Args:
            order: Every sequence once, in a random order.
            size: Interactions of a batch.
        """
        lengths, rank = np.diff(self.starts), np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        blocks = np.cumsum(lengths[order]) // (SORTED * size)
        order = order[np.lexsort((lengths[order], blocks))]
        parts = np.split(order, np.searchsorted(np.cumsum(lengths[order]), self.bounds(size)))
        return sorted(parts, key=lambda part: int(rank[part[len(part) // 2]]))

    def bounds(self, size: int) -> NDArray[np.float64]:
        """(batches - 1,) numbers of interactions at which batches of about `size` end."""
        count = max(len(self.items) // size, 1)
        return len(self.items) * np.arange(1, count) / count

    def batch(self, sequences: NDArray[np.int64]) -> Batch:
        """Some sequences, filled up with item 0 at their ends."""
        lengths = np.diff(self.starts)[sequences]
        width = max(int(lengths.max()) - 1, 1)
        rows = np.repeat(np.arange(len(sequences)), lengths)
        offsets = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        places = self.starts[sequences][rows] + offsets
        filled = np.zeros((len(sequences), width), np.int64)
        inside = offsets < width
        filled[rows[inside], offsets[inside]] = self.items[places[inside]]
        known = np.flatnonzero(self.before[places] >= 0)
        column = self.before[places[known]] - self.starts[sequences][rows[known]]
        return Batch(
            items=torch.from_numpy(filled),
            places=torch.from_numpy(rows[known] * width + column),
            targets=torch.from_numpy(self.items[places[known]].astype(np.int64)),
        )
