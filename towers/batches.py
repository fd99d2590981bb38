"""Builds training batches: histories, their targets and the negatives."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backbone.augmentation import augmented
from backbone.batch import Batch, TokenBatch, pad
from backbone.config import AugmentationConfig
from backbone.packing import PackedBatch, pack
from backbone.synonyms import Synonyms
from backbone.tokens import item_input
from dataset.training_examples import TrainingExamples
from lineage.processes import Processes
from towers.inputs import TextInputs, Twins
from towers.negative_sampler import NegativeSampler
from towers.pieces import Piece, pieces_of
from towers.sampled_softmax import Choices
from towers.windows import Windows

SEARCH_PIECES = 6
"""Most word pieces of a synthetic search"""
CONTEXTS_UNKNOWN = 0.1
"""Probability of dropping a sequence's interaction codes, as requests may lack them"""
SEARCH_TARGETS = 3
"""Most targets of a logged search in a batch, drawn by their weight"""
NOBODY = np.empty(0, np.int64)
HISTORY_KEPT = 0.5
"""Probability that a shopper with a search keeps the history"""


@dataclass(frozen=True, kw_only=True)
class TowersBatch(Batch):
    """Shoppers' histories and searches, the items that they need, and their targets."""

    rows: Tensor
    """(items,) int64 item rows whose embeddings are needed"""
    fresh: Tensor
    """(texts,) int64 positions in `rows` of the texts that are encoded with gradients"""
    texts: TokenBatch
    """Word pieces of the texts of `fresh`"""
    histories: PackedBatch | TokenBatch
    """Positions in `rows`, or word pieces of titles"""
    searches: TokenBatch
    """Word pieces of the searches that packed histories refer to"""
    cells: Tensor
    """(shoppers,) int64 cells of packed histories at which the shoppers are embedded"""
    candidates: Tensor
    """(candidates,) int64 positions in `rows`"""
    choices: Choices
    """Targets and masked candidates of each shopper"""
    weight: Tensor
    """Scalar: weight of the loss among the processes that train together, 1 on average"""


@dataclass(frozen=True, kw_only=True)
class Training:
    """Source of training batches, for both forms of the user tower."""

    examples: TrainingExamples
    inputs: TextInputs
    twins: Twins
    sampler: NegativeSampler
    fresh_texts: int
    """Texts per batch that are encoded with gradients"""
    seed: int
    prior: NDArray[np.float32] | None = None
    """(items,) added to an item's logit in training, nats"""
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    """Changes of searches"""
    synonyms: Synonyms = field(default_factory=dict)
    processes: Processes = Processes()
    """All draw the same batch and the same candidates; each builds its share of the shoppers"""

    def rng(self, chosen: Sequence[int]) -> np.random.Generator:
        """Random generator of a batch, which depends only on the seed and the batch's members."""
        return np.random.default_rng([self.seed, *chosen[:8]])

    def pool(
        self, examples: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.float32] | None]:
        """Draw the candidates for the training examples of a batch, as the sampler returns them."""
        return self.sampler(examples, self.examples.targets[examples], rng)

    def choices(
        self,
        pool: tuple[NDArray[np.int64], NDArray[np.float32] | None],
        examples: NDArray[np.int64],
        shoppers: NDArray[np.int64],
    ) -> Choices:
        """Choices of some training examples out of a pool, with their masked candidates.

        Args:
            pool: The candidates, as `pool` returned them.
            examples: (choices,) training examples.
            shoppers: (choices,) number of each example's shopper in the batch, ascending.
        """
        rows, log_inclusion = pool
        weights = self.examples.weights
        _, first = np.unique(shoppers, return_index=True)
        users = self.examples.user_rows[examples[first]]
        masked = {user: self._not_negative(user, rows) for user in dict.fromkeys(users.tolist())}
        excluded = [masked[user] for user in users.tolist()]
        return Choices(
            users=torch.from_numpy(shoppers),
            targets=torch.from_numpy(np.searchsorted(rows, self.examples.targets[examples])),
            excluded_users=torch.from_numpy(
                np.repeat(np.arange(len(users)), [len(columns) for columns in excluded])
            ),
            excluded_candidates=torch.from_numpy(np.concatenate(excluded)),
            log_inclusion=None if log_inclusion is None else torch.from_numpy(log_inclusion),
            prior=None if self.prior is None else torch.from_numpy(self.prior[rows]),
            weights=None if weights is None else torch.from_numpy(weights[examples]),
        )

    def weight(self, own: int, members: int) -> Tensor:
        """Scalar: weight of the loss of this process's part of a batch's choices."""
        return torch.tensor(self.processes.weight(own, members), dtype=torch.float32)

    def _not_negative(self, user: int, pool: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions in the pool of a user's training purchases and of their twins."""
        starts = self.examples.user_starts
        rows = self.twins.of(self.examples.items[starts[user] : starts[user + 1]])
        places = np.minimum(np.searchsorted(pool, rows), len(pool) - 1)
        found: NDArray[np.int64] = places[pool[places] == rows]
        return found

    def search(self, example: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """A synthetic search: [CLS] consecutive word pieces of the target's text [SEP]."""
        text = self.inputs.texts[int(self.examples.targets[example])]
        length = min(1 + int(rng.integers(SEARCH_PIECES)), len(text))
        start = int(rng.integers(len(text) - length + 1))
        pieces = text[start : start + length]
        if not self.augmentation.changes or self.inputs.tokenizer is None:
            return item_input(pieces, self.inputs.special)
        words = str(self.inputs.tokenizer.decode(pieces)).removeprefix("##")  # inside a word
        return self.inputs.search(augmented(words, self.augmentation, rng, self.synonyms))

    def logged_search(self, group: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """Word pieces of a group's logged search."""
        words = self.examples.searches[group]
        if self.augmentation.changes:
            words = augmented(words, self.augmentation, rng, self.synonyms)
        return self.inputs.search(words)

    def drawn(self, group: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Training examples of a group of a logged search that a batch learns from."""
        examples = self.examples
        assert examples.groups is not None
        first, end = examples.groups[group : group + 2].tolist()
        if end - first <= SEARCH_TARGETS:
            return np.arange(first, end)
        share = None
        if examples.weights is not None:
            of_group = examples.weights[first:end].astype(np.float64)
            share = of_group / of_group.sum()
        drawn = rng.choice(np.arange(first, end), SEARCH_TARGETS, replace=False, p=share)
        chosen: NDArray[np.int64] = np.sort(drawn)
        return chosen

    def fresh(
        self, targets: NDArray[np.int32], rows: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[Tensor, TokenBatch]:
        """Choose the targets whose texts are encoded with gradients.

        Returns:
            Positions of the chosen targets in `rows`, and their word pieces.
        """
        distinct = np.unique(targets)
        fresh = np.sort(rng.permutation(distinct)[: self.fresh_texts])
        texts = pad([self.inputs.item(int(row)) for row in fresh], self.inputs.special.pad)
        return torch.from_numpy(np.searchsorted(rows, fresh)), texts


@dataclass(frozen=True, kw_only=True)
class WindowBatches:
    """Collates windows: every position with a training example is a shopper.

    Further shoppers search after or instead of the history: for what was logged, each group of
    training examples after one search is a shopper; or else, some training examples give a shopper
    with a search for words of the target.
    """

    training: Training
    windows: Windows
    width: int
    """Cells per packed row"""
    searches: float
    """Shoppers with a synthetic search per window, mean"""
    cropped: float = 0.0
    """Probability of cutting a window in two"""
    reordered: float = 0.0
    """Probability of reordering a part of a window"""

    def __call__(self, chosen: Sequence[int]) -> TowersBatch:
        """Build the batch of some windows and groups, by their position; groups come last."""
        training, examples, windows = self.training, self.training.examples, self.windows
        rng = training.rng(chosen)
        whole = [window for window in chosen if window < len(windows)]
        cut = [piece for window in whole for piece in self._pieces(window, rng)]
        members = np.concatenate([NOBODY, *(piece.examples for piece in cut)])
        of_window = np.repeat(np.arange(len(cut)), [len(piece.examples) for piece in cut])
        place = np.concatenate([NOBODY, *(piece.places for piece in cut)])
        new = np.ones(len(members), bool)  # whether an example begins another shopper
        new[1:] = (np.diff(of_window) != 0) | (np.diff(place) != 0)
        synthetic = rng.permutation(members)[: round(self.searches * len(whole))]
        groups = [number - len(windows) for number in chosen if number >= len(windows)]
        logged = [training.drawn(group, rng) for group in groups]
        searching = [*synthetic[:, None], *logged]  # training examples of each search
        everyone = np.concatenate([members, *searching])
        pool = training.pool(everyone, rng)
        words = [training.search(int(example), rng) for example in synthetic]
        words += [training.logged_search(group, rng) for group in groups]
        histories = [piece.items for piece in cut]
        interaction_codes = [piece.interaction_codes for piece in cut]
        for example, *_ in searching:
            kept = slice(1 - self.width, None if rng.random() < HISTORY_KEPT else 0)
            histories.append(examples.history(example)[kept])
            interaction_codes.append(np.append(examples.history_codes(example)[kept], 0))
        for unknown in np.flatnonzero(
            rng.random(len(interaction_codes)) < CONTEXTS_UNKNOWN
        ).tolist():
            interaction_codes[unknown] = np.zeros_like(interaction_codes[unknown])
        # from here on this process's share: whole windows, and searches
        windowed, searched = (training.processes.owns(len(all_)) for all_ in (cut, searching))
        owned_sequences = np.flatnonzero(np.concatenate([windowed, searched])).tolist()
        histories = [histories[sequence] for sequence in owned_sequences]
        interaction_codes = [interaction_codes[sequence] for sequence in owned_sequences]
        ours_searched = np.flatnonzero(searched).tolist()
        words = [words[search] for search in ours_searched]
        found = [searching[search] for search in ours_searched]
        ours = windowed[of_window]
        shoppers = np.cumsum(new[ours]) - 1
        own = np.concatenate([members[ours], *found])
        of_search = np.repeat(np.arange(len(words)), [len(part) for part in found])
        numbers = np.concatenate([shoppers, 1 + shoppers.max(initial=-1) + of_search])
        candidates, own_windows = pool[0], int(windowed.sum())
        rows = (
            candidates
            if training.sampler.takes_all
            else np.union1d(candidates, np.concatenate(histories))
        )
        sequences = [np.searchsorted(rows, history).astype(np.int32) for history in histories]
        for search in range(len(words)):
            shopper = own_windows + search
            sequences[shopper] = np.append(sequences[shopper], np.int32(1 + len(rows) + search))
        packed = pack(sequences, interaction_codes, width=self.width, filler=len(rows))
        fresh, texts = training.fresh(
            examples.targets[np.concatenate([members, *logged])], rows, rng
        )
        last = np.array([len(s) - 1 for s in sequences[own_windows:]], np.int64)
        begins = ours & new
        cells = np.concatenate([place[begins], last])
        sequence_of = (np.cumsum(windowed) - 1)[of_window[begins]]
        owner = np.concatenate([sequence_of, own_windows + np.arange(len(words))])
        return TowersBatch(
            rows=torch.from_numpy(rows),
            fresh=fresh,
            texts=texts,
            histories=packed,
            searches=pad(words, training.inputs.special.pad),
            cells=packed.starts[owner] + torch.from_numpy(cells),
            candidates=torch.from_numpy(np.searchsorted(rows, candidates)),
            choices=training.choices(pool, own, numbers),
            weight=training.weight(len(own), len(everyone)),
        )

    def _pieces(self, window: int, rng: np.random.Generator) -> list[Piece]:
        how = {"cropped": self.cropped, "reordered": self.reordered}
        return pieces_of(self.training.examples, self.windows, window, rng, **how)


def drawn_targets(examples: TrainingExamples) -> NDArray[np.int64]:
    """(groups,) number of targets that a batch draws of each group of a search."""
    if examples.groups is None:
        return NOBODY
    return np.minimum(np.diff(examples.groups), SEARCH_TARGETS)


@dataclass(frozen=True, kw_only=True)
class TitleBatches:
    """Collates training examples: each is a shopper, encoded from the titles of its history."""

    training: Training

    def __call__(self, chosen: Sequence[int]) -> TowersBatch:
        """Build the batch of some training examples, by their position."""
        training, examples, members = self.training, self.training.examples, np.asarray(chosen)
        rng = training.rng(chosen)
        pool = training.pool(members, rng)
        fresh, texts = training.fresh(examples.targets[members], pool[0], rng)
        own = members[training.processes.owns(len(members))]
        histories = [training.inputs.history(examples.history(example)) for example in own.tolist()]
        return TowersBatch(
            rows=torch.from_numpy(pool[0]),
            fresh=fresh,
            texts=texts,
            histories=pad(histories, training.inputs.title_special.pad),
            searches=pad([], training.inputs.special.pad),
            cells=torch.arange(len(own)),
            candidates=torch.arange(len(pool[0])),
            choices=training.choices(pool, own, np.arange(len(own))),
            weight=training.weight(len(own), len(members)),
        )
