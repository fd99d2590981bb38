"""Batches of histories and what was chosen after them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backbone.batch import TokenBatch, pad
from backbone.packing import PackedBatch, pack
from dataset.points import TrainingPoints
from towers.candidates import CandidateSampler
from towers.inputs import TextInputs, Twins
from towers.sampled_softmax import Choices
from towers.windows import Windows


@dataclass(frozen=True, kw_only=True)
class TowersBatch:
    """Shoppers, the items that they are about, and what each chose."""

    rows: Tensor
    """(items,) int64 corpus rows whose embeddings are needed"""
    fresh: Tensor
    """(texts,) int64 positions in `rows` whose text is read with gradients"""
    texts: TokenBatch
    """the texts of `fresh`"""
    histories: PackedBatch | TokenBatch
    """positions in `rows`, or word pieces"""
    cells: Tensor
    """(shoppers,) int64 cells of packed histories where a shopper is embedded"""
    candidates: Tensor
    """(candidates,) int64 positions in `rows`"""
    choices: Choices

    def to(self, device: torch.device) -> "TowersBatch":
        """The same batch on a device."""
        return TowersBatch(**{name: part.to(device) for name, part in vars(self).items()})


@dataclass(frozen=True, kw_only=True)
class Training:
    """What batches are made from, in either form."""

    points: TrainingPoints
    inputs: TextInputs
    twins: Twins
    sampler: CandidateSampler
    fresh_texts: int
    """Texts a batch that are read with gradients"""
    seed: int

    def rng(self, chosen: Sequence[int]) -> np.random.Generator:
        """Chance of a batch, the same whenever it is made."""
        return np.random.default_rng([self.seed, *chosen[:8]])

    def choices(
        self, points: NDArray[np.int64], shoppers: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], Choices]:
        """Draw the pool for some points, whose shoppers are numbered in ascending order."""
        targets = self.points.targets[points]
        pool, log_inclusion = self.sampler(targets, rng)
        _, first = np.unique(shoppers, return_index=True)
        users = self.points.user_rows[points[first]]
        known = {user: self._not_negative(user, pool) for user in dict.fromkeys(users.tolist())}
        excluded = [known[user] for user in users.tolist()]
        return pool, Choices(
            users=torch.from_numpy(shoppers),
            targets=torch.from_numpy(np.searchsorted(pool, targets)),
            excluded_users=torch.from_numpy(
                np.repeat(np.arange(len(users)), [len(columns) for columns in excluded])
            ),
            excluded_candidates=torch.from_numpy(np.concatenate(excluded)),
            log_inclusion=None if log_inclusion is None else torch.from_numpy(log_inclusion),
        )

    def _not_negative(self, user: int, pool: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places in the pool of all that a user has in the training split, and of its twins."""
        starts = self.points.user_starts
        rows = self.twins.of(self.points.items[starts[user] : starts[user + 1]])
        places = np.minimum(np.searchsorted(pool, rows), len(pool) - 1)
        found: NDArray[np.int64] = places[pool[places] == rows]
        return found

    def fresh(
        self, targets: NDArray[np.int32], rows: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[Tensor, TokenBatch]:
        """Choose the texts that are read anew: their places in `rows`, and what is read."""
        distinct = np.unique(targets)
        fresh = np.sort(rng.permutation(distinct)[: self.fresh_texts])
        texts = pad([self.inputs.item(int(row)) for row in fresh], self.inputs.special.pad)
        return torch.from_numpy(np.searchsorted(rows, fresh)), texts


@dataclass(frozen=True, kw_only=True)
class WindowBatches:
    """Collates windows: every place that has something to predict is a shopper."""

    training: Training
    windows: Windows
    width: int
    """Cells of a packed row"""

    def __call__(self, chosen: Sequence[int]) -> TowersBatch:
        """Build the batch of some windows, by their position."""
        training, points, windows = self.training, self.training.points, self.windows
        rng = training.rng(chosen)
        spans = [(windows.starts[w], windows.ends[w]) for w in chosen]
        owned = [np.arange(windows.points[w], windows.points[w + 1]) for w in chosen]
        members = np.concatenate(owned)
        of_window = np.repeat(np.arange(len(chosen)), [len(part) for part in owned])
        starts = np.array([start for start, _ in spans])
        place = points.ends[members] - 1 - starts[of_window]
        new = np.ones(len(members), bool)
        new[1:] = (np.diff(of_window) != 0) | (np.diff(place) != 0)
        shoppers = np.cumsum(new) - 1
        pool, choices = training.choices(members, shoppers, rng)
        histories = [points.items[start:end] for start, end in spans]
        rows = pool if training.sampler.takes_all else np.union1d(pool, np.concatenate(histories))
        packed = pack(
            [np.searchsorted(rows, history).astype(np.int32) for history in histories],
            width=self.width,
            filler=len(rows),
        )
        fresh, texts = training.fresh(points.targets[members], rows, rng)
        return TowersBatch(
            rows=torch.from_numpy(rows),
            fresh=fresh,
            texts=texts,
            histories=packed,
            cells=packed.starts[of_window[new]] + torch.from_numpy(place[new]),
            candidates=torch.from_numpy(np.searchsorted(rows, pool)),
            choices=choices,
        )


@dataclass(frozen=True, kw_only=True)
class TitleBatches:
    """Collates training points: every one is a shopper, read as the titles of its history."""

    training: Training

    def __call__(self, chosen: Sequence[int]) -> TowersBatch:
        """Build the batch of some training points, by their position."""
        training, points, members = self.training, self.training.points, np.asarray(chosen)
        rng = training.rng(chosen)
        pool, choices = training.choices(members, np.arange(len(members)), rng)
        fresh, texts = training.fresh(points.targets[members], pool, rng)
        histories = [training.inputs.history(points.history(point)) for point in chosen]
        return TowersBatch(
            rows=torch.from_numpy(pool),
            fresh=fresh,
            texts=texts,
            histories=pad(histories, training.inputs.special.pad),
            cells=torch.arange(len(members)),
            candidates=torch.arange(len(pool)),
            choices=choices,
        )
