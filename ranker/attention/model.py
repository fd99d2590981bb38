"""The attention ranker: candidates attend to the history items, whose states are precomputed.

An item's state consists of BERT's mean state of its text and its embedding by the trial's towers.
The words of the text are stored too: averaged states lose which words a candidate and a history
item share, and shared words improve ranking
(docs/experiments/2026-11-28-ranker-learning-rate.md).

The history is encoded once for all candidates. A candidate attends only to the history and to
itself, so its score does not depend on the other candidates. Sources: Zhou et al., "Deep interest
network", KDD 2018, for attention from the candidate to the history; MacAvaney et al., SIGIR 2020,
for precomputed documents.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ranker.attention.inputs import AttentionBatch
from ranker.attention.word_overlap import MATCHES
from ranker.corrector import Corrector

HEAD = 32
"""Width of an attention head"""
MASKED_LOGIT = -1e4
"""Attention logit of padding. Finite, so that an empty history yields numbers: its values are zero,
and the features alone decide"""
PAIR = 32
"""Width of the representation of a candidate and a history item"""


class Encoded(NamedTuple):
    """Shoppers and candidates, before the features."""

    shopper: Tensor
    """(shoppers, length, width) states of the history items"""
    candidates: Tensor
    """(shoppers, candidates, width) states of the items alone"""
    added: Tensor
    """(shoppers, candidates, width) what their pairs with the history add"""
    pairs: Tensor
    """(shoppers, candidates, length, pair)"""
    known: Tensor
    """(shoppers, length) bool: false for padding"""


class AttentionRanker(Corrector):
    """One self-attention layer over the history, then layers in which candidates attend to it."""

    def __init__(
        self,
        *,
        hidden: int,
        features: int,
        width: int,
        layers: int,
        length: int,
        dropout: float = 0.0,
        searches: bool = False,
    ) -> None:
        """Build the layers.

        Args:
            hidden: Length of the items' states.
            features: Number of features.
            width: Width of every layer, a multiple of 32.
            layers: Number of layers in which candidates attend to the history.
            length: Most items of a history.
            dropout: Probability of zeroing an activation in training.
            searches: Whether the model learns from searches.
        """
        super().__init__(width, features)
        self.options = {"hidden": hidden, "width": width, "layers": layers, "length": length}
        self.search: nn.Parameter | None = None
        if searches:
            self.options |= {"searches": True}
            self.search = nn.Parameter(torch.zeros(width))
            self.search_pair = nn.Parameter(torch.zeros(PAIR))
        self.into = nn.Linear(hidden, width)
        self.ages = nn.Embedding(length, width)
        nn.init.normal_(self.ages.weight, std=0.02)
        self.feature_encoder = nn.Sequential(
            nn.Linear(features, width), nn.GELU(), nn.Linear(width, width)
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

    def forward(self, batch: AttentionBatch, shortlist_scores: Tensor, features: Tensor) -> Tensor:
        """Score the candidates of every shopper.

        Args:
            batch: Shoppers and candidates.
            shortlist_scores: (shoppers × candidates,) scores in the shortlist, logits.
            features: (shoppers × candidates, features) raw values.

        Returns:
            (shoppers × candidates,) logits, float32.
        """
        return self.scored(self.encoded(batch), shortlist_scores, features)

    def encoded(self, batch: AttentionBatch) -> Encoded:
        """What does not depend on the features: the history, the candidates and their pairs."""
        dtype, length = self.head.weight.dtype, batch.history.shape[1]
        tokens = self.into(batch.history.to(dtype)) + self.ages.weight[:length]
        pairs = self.pairs(batch.matches.to(dtype))
        if self.search is not None and batch.searched is not None:
            first = functional.pad(batch.searched[:, None], (0, length - 1)).to(dtype)
            tokens = tokens + first[..., None] * self.search
            pairs = pairs + first[:, None, :, None] * self.search_pair
        read = self.reader(self.dropout(tokens), src_key_padding_mask=~batch.known)
        return Encoded(
            shopper=self.read(read).masked_fill(~batch.known.unsqueeze(-1), 0.0),
            candidates=self.into(batch.candidates.to(dtype)),
            added=self.of_pairs(self.pairs.added_up(pairs, batch.known)),
            pairs=pairs,
            known=batch.known,
        )

    def scored(self, encoded: Encoded, shortlist_scores: Tensor, features: Tensor) -> Tensor:
        """Score candidates that are encoded; arguments and result as of `forward`."""
        standardised, states = self.standardised(features), encoded.candidates
        states = states + self.feature_encoder(standardised).view_as(states)
        states = self.dropout(states + encoded.added)
        for layer in self.layers:
            states = layer(states, encoded.shopper, encoded.known, encoded.pairs)
        return self.corrected(self.last(states), shortlist_scores, standardised)


class PairReader(nn.Module):
    """Represents a (candidate, history item) pair by its word overlap and the item's age."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.into, self.out = nn.Linear(len(MATCHES), PAIR), nn.Linear(PAIR, PAIR)
        self.gate = nn.Linear(PAIR, PAIR)
        self.ages = nn.Embedding(length, PAIR)

    def forward(self, matches: Tensor) -> Tensor:
        """Map (…, length, matches) to (…, length, pair)."""
        ages = self.ages.weight[: matches.shape[-2]]
        result: Tensor = self.out(functional.gelu(self.into(matches) + ages))
        return result

    def added_up(self, pairs: Tensor, known: Tensor) -> Tensor:
        """Gated sum of a candidate's pairs over the history.

        Args:
            pairs: (shoppers, candidates, length, pair)
            known: (shoppers, length) bool: false for padding.

        Returns:
            (shoppers, candidates, pair)
        """
        gates = torch.sigmoid(self.gate(functional.gelu(pairs))) * known[:, None, :, None]
        return (gates * pairs).sum(dim=2)


class CrossAttention(nn.Module):
    """Candidates attend to the history; then a feed-forward layer transforms each candidate.

    The pair of a candidate and a history item adds to the attention logit and to the value, as
    relative positions do in Shaw et al., NAACL 2018.
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
        """Update the candidates' states.

        Args:
            states: (shoppers, candidates, width) states of the candidates.
            shopper: (shoppers, length, width) states of the history items.
            known: (shoppers, length) bool: false for padding.
            pairs: (shoppers, candidates, length, pair)

        Returns:
            (shoppers, candidates, width)
        """
        query = self._split(self.query(self.before(states)))
        key, value = (self._split(part) for part in self.key_value(shopper).chunk(2, dim=-1))
        logits = query @ key.transpose(-1, -2) * HEAD**-0.5
        logits = logits + self.favour(pairs).permute(0, 3, 1, 2)
        weights = logits.masked_fill(~known[:, None, None, :], MASKED_LOGIT).softmax(dim=-1)
        common = weights.transpose(1, 2) @ pairs  # (shoppers, candidates, heads, pair)
        read = (weights @ value).transpose(1, 2)
        read = read + torch.einsum("schp,hpd->schd", common, self.common.to(common.dtype))
        states = states + self.dropout(self.output(read.flatten(2)))
        result: Tensor = states + self.dropout(self.inner(self.between(states)))
        return result

    def _split(self, projected: Tensor) -> Tensor:
        """Reshape (shoppers, tokens, width) to (shoppers, heads, tokens, head)."""
        return projected.view(*projected.shape[:-1], self.heads, -1).transpose(1, 2)
