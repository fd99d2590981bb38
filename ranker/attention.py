"""The fast ranker: candidates attend to the shopper's items, whose states were made long before.

An item's state is what BERT made of its text, and its embedding by the trial's towers. Beside it
lie the words of the text: which words a candidate and an item of the history have in common is lost
in averages, and counts (docs/log.md).

The shopper is read once for all candidates, and a candidate sees the shopper and itself alone, so
its score does not depend on which others are ranked with it (Zhou et al., "Deep interest network",
KDD 2018, attend to a history by the candidate; MacAvaney et al., SIGIR 2020, read documents ahead).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from backbone.batch import Batch
from dataset.growing import Extended, Grown
from ranker.model import Corrector
from ranker.words import BYTES, MATCHES, WordRarity, Words, as_bytes, from_bytes, matches

STATES, STEPS, OPTIONS = "item_states.npy", "item_states.steps.npy", "inputs.json"
RARITY = "words.npz"
MOST_STEPS = 127
"""From zero, that a byte has room for"""
SMALLEST_STEP = 1e-9
AT_ONCE = 65_536
"""Items whose numbers are divided at once"""
HEAD = 32
"""Width of an attention head"""
FAR_BELOW = -1e4
"""A logit without a chance, of an item that is not there; finite, for histories without any"""
WIDTH = 8
"""Histories are filled up to a multiple of so many items: for a new shape oneDNN writes code, which
takes some 8 ms."""
PAIR = 32
"""Width of what is made of a candidate and an item of the history"""


@dataclass(frozen=True, kw_only=True)
class AttentionBatch(Batch):
    """Shoppers with as many candidates each."""

    history: Tensor
    """(shoppers, length, hidden) states of the history's items, the last one first"""
    known: Tensor
    """(shoppers, length) bool: whether there is an item"""
    candidates: Tensor
    """(shoppers, candidates, hidden) states of the candidates"""
    matches: Tensor
    """(shoppers, candidates, length, matches) words that both have, as of `ranker.words.matches`"""


@dataclass(frozen=True, kw_only=True)
class AttentionInputs:
    """Turns histories and candidates into what the fast ranker reads.

    A byte is kept of every number: how many steps it is from zero, where its column has steps of
    the same size (symmetric quantisation; Jacob et al., CVPR 2018).
    """

    states: NDArray[np.int8] | Extended[np.int8]
    """(items, hidden + bytes of words) in steps: mean of the states of an item's text, of unit
    length; beside it the item's embedding, of length √dimension; then the words of its text"""
    steps: NDArray[np.float32]
    """(hidden,) size of a column's step"""
    rarity: WordRarity
    """Of the corpus's words"""
    length: int
    """Newest items of a history that are read"""

    @classmethod
    def of(
        cls, parts: Sequence[NDArray[np.float32]], texts: Sequence[str], *, length: int
    ) -> "AttentionInputs":
        """Keep what is known of a corpus.

        Args:
            parts: (items, …) each, columns beside columns.
            texts: Of the items.
            length: As above.
        """
        steps, rarity = np.concatenate([_steps(part) for part in parts]), WordRarity.of(texts)
        states, start = np.empty((len(parts[0]), len(steps) + BYTES), np.int8), 0
        for part in parts:
            columns = slice(start, start := start + part.shape[1])
            for row in range(0, len(part), AT_ONCE):
                rows = slice(row, row + AT_ONCE)
                states[rows, columns] = _in_steps(part[rows], steps[columns])
        for row in range(0, len(texts), AT_ONCE):
            rows = slice(row, row + AT_ONCE)
            states[rows, start:] = as_bytes(rarity.read(texts[rows]))
        return cls(states=states, steps=steps, rarity=rarity, length=length)

    def kept(self, states: NDArray[np.float32], texts: Sequence[str]) -> NDArray[np.int8]:
        """(items, hidden + bytes of words) of other items, as those of the corpus are kept.

        Args:
            states: (items, hidden); what lies beyond the corpus is cut.
            texts: Of the items.
        """
        words = as_bytes(self.rarity.read(texts))
        return np.concatenate([_in_steps(states, self.steps), words], axis=1)

    def read(self, rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """(…, hidden) states of the items of (…,) rows."""
        return self.states[rows][..., : len(self.steps)] * self.steps

    def words(self, rows: NDArray[np.int32]) -> Words:
        """(…, words) of the texts of the items of (…,) rows."""
        return from_bytes(self.states[rows][..., len(self.steps) :])

    def __call__(
        self,
        histories: Sequence[NDArray[np.int32]],
        candidates: Sequence[NDArray[np.int32]] | NDArray[np.int32],
    ) -> AttentionBatch:
        """Pair every history with its candidates.

        Args:
            histories: Item rows of each shopper, oldest first.
            candidates: Item rows to be scored for each, as many for one as for another.
        """
        newest = [history[-self.length :][::-1] for history in histories]
        lengths = np.array([len(history) for history in newest])
        width = min(WIDTH * -(-max(lengths.max(initial=0), 1) // WIDTH), self.length)
        known = np.arange(width) < lengths[:, None]
        rows, of_history = np.stack(list(candidates)), np.concatenate(newest)
        history = np.zeros((*known.shape, len(self.steps)), np.float32)
        history[known] = self.read(of_history)
        common = np.zeros((*rows.shape, known.shape[1], len(MATCHES)), np.float32)
        words = np.split(self.words(of_history), np.cumsum(lengths)[:-1])
        for shopper, of_candidates in enumerate(self.words(rows)):
            common[shopper, :, : lengths[shopper]] = matches(words[shopper], of_candidates)
        return AttentionBatch(
            history=torch.from_numpy(history),
            known=torch.from_numpy(known),
            candidates=torch.from_numpy(self.read(rows)),
            matches=torch.from_numpy(common),
        )

    def over(self, added: Grown[np.int8]) -> "AttentionInputs":
        """The same where items were added to the corpus.

        Args:
            added: (added items, hidden + bytes of words) what `kept` made of them.
        """
        base = self.states.base if isinstance(self.states, Extended) else self.states
        return replace(self, states=Extended(base=base, added=added))

    def save(self, folder: Path) -> None:
        """Write the states and the options."""
        np.save(folder / STATES, self.states)
        np.save(folder / STEPS, self.steps)
        self.rarity.save(folder / RARITY)
        (folder / OPTIONS).write_text(json.dumps({"length": self.length}))

    @classmethod
    def load(cls, folder: Path) -> "AttentionInputs":
        """Map what `save` wrote."""
        return cls(
            states=np.load(folder / STATES, mmap_mode="r"),
            steps=np.load(folder / STEPS),
            rarity=WordRarity.load(folder / RARITY),
            length=json.loads((folder / OPTIONS).read_text())["length"],
        )


def _steps(states: NDArray[np.float32]) -> NDArray[np.float32]:
    """(columns,): so large that the largest number of a column is the last step."""
    largest = np.maximum(states.max(axis=0, initial=0.0), -states.min(axis=0, initial=0.0))
    steps: NDArray[np.float32] = np.maximum(largest / MOST_STEPS, SMALLEST_STEP)
    return steps


def _in_steps(states: NDArray[np.float32], steps: NDArray[np.float32]) -> NDArray[np.int8]:
    kept: NDArray[np.int8] = np.rint(states / steps).clip(-MOST_STEPS, MOST_STEPS).astype(np.int8)
    return kept


class AttentionRanker(Corrector):
    """One layer over the history, then layers in which candidates attend to it."""

    def __init__(
        self,
        *,
        hidden: int,
        signals: int,
        width: int,
        layers: int,
        length: int,
        dropout: float = 0.0,
    ) -> None:
        """Build it.

        Args:
            hidden: Length of the items' states.
            signals: Columns of the signals.
            width: Of every layer, a multiple of 32.
            layers: In which candidates attend to the history.
            length: Items of a history at most.
            dropout: Chance of zeroing an activation in training.
        """
        super().__init__(width, signals)
        self.options = {"hidden": hidden, "width": width, "layers": layers, "length": length}
        self.into = nn.Linear(hidden, width)
        self.ages = nn.Embedding(length, width)
        nn.init.normal_(self.ages.weight, std=0.02)
        self.described = nn.Sequential(
            nn.Linear(signals, width), nn.GELU(), nn.Linear(width, width)
        )
        self.reader = nn.TransformerEncoderLayer(
            width, width // HEAD, 4 * width, dropout, "gelu", batch_first=True, norm_first=True
        )
        self.read = nn.LayerNorm(width)
        self.pairs = PairReader(length)
        self.of_pairs = nn.Linear(PAIR, width)
        self.layers = nn.ModuleList(CrossAttention(width, dropout) for _ in range(layers))
        self.last = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, batch: AttentionBatch, shortlist_scores: Tensor, signals: Tensor) -> Tensor:
        """Score the candidates of every shopper.

        Args:
            batch: Shoppers and candidates.
            shortlist_scores: (shoppers × candidates,) scores in the shortlist, logits.
            signals: (shoppers × candidates, signals)

        Returns:
            (shoppers × candidates,) logits, float32.
        """
        described = self.standardised(signals)
        dtype, length = described.dtype, batch.history.shape[1]
        tokens = self.into(batch.history.to(dtype)) + self.ages.weight[:length]
        read = self.reader(self.dropout(tokens), src_key_padding_mask=~batch.known)
        shopper = self.read(read)
        states = self.into(batch.candidates.to(dtype))
        pairs = self.pairs(batch.matches.to(dtype))
        states = states + self.described(described).view_as(states)
        states = self.dropout(states + self.of_pairs(self.pairs.added_up(pairs, batch.known)))
        for layer in self.layers:
            states = layer(states, shopper, batch.known, pairs)
        return self.corrected(self.last(states), shortlist_scores, described)


class PairReader(nn.Module):
    """Reads what a candidate and an item of the history have in common, and the item's age."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.into, self.out = nn.Linear(len(MATCHES), PAIR), nn.Linear(PAIR, PAIR)
        self.gate = nn.Linear(PAIR, PAIR)
        self.ages = nn.Embedding(length, PAIR)

    def forward(self, matches: Tensor) -> Tensor:
        """(…, length, matches) as (…, length, pair)."""
        ages = self.ages.weight[: matches.shape[-2]]
        result: Tensor = self.out(functional.gelu(self.into(matches) + ages))
        return result

    def added_up(self, pairs: Tensor, known: Tensor) -> Tensor:
        """What pairs say of a candidate, however many there are.

        Args:
            pairs: (shoppers, candidates, length, pair)
            known: (shoppers, length) bool

        Returns:
            (shoppers, candidates, pair)
        """
        gates = torch.sigmoid(self.gate(functional.gelu(pairs))) * known[:, None, :, None]
        return (gates * pairs).sum(dim=2)


class CrossAttention(nn.Module):
    """Candidates attend to the shopper, then each is transformed by itself.

    What a candidate has in common with an item is added to the logit of attending to it, and is
    read along with it, as relative positions are in Shaw et al., NAACL 2018.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.heads = width // HEAD
        self.query, self.output = nn.Linear(width, width), nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.favour = nn.Linear(PAIR, self.heads)
        self.common = nn.Parameter(torch.empty(self.heads, PAIR, HEAD))
        nn.init.normal_(self.common, std=PAIR**-0.5)
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.inner = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, shopper: Tensor, known: Tensor, pairs: Tensor) -> Tensor:
        """Read the shopper.

        Args:
            states: (shoppers, candidates, width)
            shopper: (shoppers, length, width)
            known: (shoppers, length) bool
            pairs: (shoppers, candidates, length, pair)

        Returns:
            (shoppers, candidates, width)
        """
        query = self._split(self.query(self.before(states)))
        key, value = (self._split(part) for part in self.key_value(shopper).chunk(2, dim=-1))
        logits = query @ key.transpose(-1, -2) * HEAD**-0.5
        logits = logits + self.favour(pairs).permute(0, 3, 1, 2)
        weights = logits.masked_fill(~known[:, None, None, :], FAR_BELOW).softmax(dim=-1)
        common = weights.transpose(1, 2) @ pairs  # (shoppers, candidates, heads, pair)
        read = (weights @ value).transpose(1, 2)
        read = read + torch.einsum("schp,hpd->schd", common, self.common.to(common.dtype))
        states = states + self.dropout(self.output(read.flatten(2)))
        result: Tensor = states + self.dropout(self.inner(self.between(states)))
        return result

    def _split(self, projected: Tensor) -> Tensor:
        """(shoppers, tokens, width) as (shoppers, heads, tokens, head)."""
        return projected.view(*projected.shape[:-1], self.heads, -1).transpose(1, 2)
