"""Batches of histories and what was chosen after them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backbone.batch import Batch, TokenBatch, pad
from backbone.packing import PackedBatch, pack
from backbone.tokens import item_input
from dataset.training_examples import TrainingPoints
from towers.inputs import TextInputs, Twins
from towers.negative_sampler import CandidateSampler
from towers.sampled_softmax import Choices
from towers.windows import Windows

SEARCH_PIECES = 6
"""Word pieces of a made-up search at most"""
CONTEXTS_UNKNOWN = 0.1
"""Chance that nothing is said of when and how a sequence came about, as a request may not"""
HISTORY_KEPT = 0.5
"""Chance that a searching shopper has a history too"""


@dataclass(frozen=True, kw_only=True)
class TowersBatch(Batch):
    """Shoppers, the items that they are about, and what each chose."""

    rows: Tensor
    """(items,) int64 corpus rows whose embeddings are needed"""
    fresh: Tensor
    """(texts,) int64 positions in `rows` whose text is read with gradients"""
    texts: TokenBatch
    """the texts of `fresh`"""
    histories: PackedBatch | TokenBatch
    """positions in `rows`, or word pieces"""
    searches: TokenBatch
    """word pieces of the searches that packed histories refer to"""
    cells: Tensor
    """(shoppers,) int64 cells of packed histories where a shopper is embedded"""
    candidates: Tensor
    """(candidates,) int64 positions in `rows`"""
    choices: Choices


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
    prior: NDArray[np.float32] | None = None
    """(items,) what is added to an item's logit in training, nats"""

    def rng(self, chosen: Sequence[int]) -> np.random.Generator:
        """Chance of a batch, the same whenever it is made."""
        return np.random.default_rng([self.seed, *chosen[:8]])

    def choices(
        self, points: NDArray[np.int64], shoppers: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], Choices]:
        """Draw the pool for some points, whose shoppers are numbered in ascending order."""
        targets = self.points.targets[points]
        pool, log_inclusion = self.sampler(points, targets, rng)
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
            prior=None if self.prior is None else torch.from_numpy(self.prior[pool]),
        )

    def _not_negative(self, user: int, pool: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places in the pool of all that a user has in the training split, and of its twins."""
        starts = self.points.user_starts
        rows = self.twins.of(self.points.items[starts[user] : starts[user + 1]])
        places = np.minimum(np.searchsorted(pool, rows), len(pool) - 1)
        found: NDArray[np.int64] = places[pool[places] == rows]
        return found

    def search(self, point: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """[CLS] some words in a row of the target's text [SEP]: what a shopper might search for."""
        text = self.inputs.texts[int(self.points.targets[point])]
        length = min(1 + int(rng.integers(SEARCH_PIECES)), len(text))
        start = int(rng.integers(len(text) - length + 1))
        return item_input(text[start : start + length], self.inputs.special)

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
    """Collates windows: every place that has something to predict is a shopper.

    Some points are shoppers a second time, with a search for words of their target after the
    history, or in place of it.
    """

    training: Training
    windows: Windows
    width: int
    """Cells of a packed row"""
    searches: float
    """Searching shoppers a window"""

    def __call__(self, chosen: Sequence[int]) -> TowersBatch:
        """Build the batch of some windows, by their position."""
        training, points, windows = self.training, self.training.points, self.windows
        rng = training.rng(chosen)
        spans = [slice(windows.starts[w], windows.ends[w]) for w in chosen]
        owned = [np.arange(windows.points[w], windows.points[w + 1]) for w in chosen]
        members = np.concatenate(owned)
        of_window = np.repeat(np.arange(len(chosen)), [len(part) for part in owned])
        place = points.ends[members] - 1 - windows.starts[np.asarray(chosen)][of_window]
        new = np.ones(len(members), bool)
        new[1:] = (np.diff(of_window) != 0) | (np.diff(place) != 0)
        shoppers = np.cumsum(new) - 1
        searching = rng.permutation(members)[: round(self.searches * len(chosen))]
        everyone = np.concatenate([members, searching])
        numbers = np.concatenate([shoppers, 1 + shoppers[-1] + np.arange(len(searching))])
        pool, choices = training.choices(everyone, numbers, rng)
        words = [training.search(int(point), rng) for point in searching]
        histories = [points.items[span] for span in spans]
        contexts = [points.contexts[span] for span in spans]
        for point in searching.tolist():
            kept = slice(1 - self.width, None if rng.random() < HISTORY_KEPT else 0)
            histories.append(points.history(point)[kept])
            contexts.append(np.append(points.history_contexts(point)[kept], 0))
        for unknown in np.flatnonzero(rng.random(len(contexts)) < CONTEXTS_UNKNOWN).tolist():
            contexts[unknown] = np.zeros_like(contexts[unknown])
        rows = pool if training.sampler.takes_all else np.union1d(pool, np.concatenate(histories))
        sequences = [np.searchsorted(rows, history).astype(np.int32) for history in histories]
        for search in range(len(words)):
            shopper = len(chosen) + search
            sequences[shopper] = np.append(sequences[shopper], np.int32(1 + len(rows) + search))
        packed = pack(sequences, contexts, width=self.width, filler=len(rows))
        fresh, texts = training.fresh(points.targets[members], rows, rng)
        last = np.array([len(s) - 1 for s in sequences[len(chosen) :]], np.int64)
        cells = np.concatenate([place[new], last])
        owner = np.concatenate([of_window[new], len(chosen) + np.arange(len(searching))])
        return TowersBatch(
            rows=torch.from_numpy(rows),
            fresh=fresh,
            texts=texts,
            histories=packed,
            searches=pad(words, training.inputs.special.pad),
            cells=packed.starts[owner] + torch.from_numpy(cells),
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
            searches=pad([], training.inputs.special.pad),
            cells=torch.arange(len(members)),
            candidates=torch.arange(len(pool)),
            choices=choices,
        )
