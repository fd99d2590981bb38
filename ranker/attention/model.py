"""The fast ranker: candidates attend to the shopper's items, whose states were made long before.

An item's state is what BERT made of its text, and its embedding by the trial's towers. Beside it
lie the words of the text: which words a candidate and an item of the history have in common is lost
in averages, and counts (docs/experiments/2026-11-28-ranker-learning-rate.md).

The shopper is read once for all candidates, and a candidate sees the shopper and itself alone, so
its score does not depend on which others are ranked with it (Zhou et al., "Deep interest network",
KDD 2018, attend to a history by the candidate; MacAvaney et al., SIGIR 2020, read documents ahead).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ranker.attention.inputs import AttentionBatch
from ranker.attention.word_overlap import MATCHES
from ranker.corrector import Corrector

HEAD = 32
"""Width of an attention head"""
FAR_BELOW = -1e4
"""A logit without a chance, of an item that is not there; finite, for histories without any: what
such a shopper reads is nothing, and the features alone decide"""
PAIR = 32
"""Width of what is made of a candidate and an item of the history"""


class AttentionRanker(Corrector):
    """One layer over the history, then layers in which candidates attend to it."""

    def __init__(
        self,
        *,
        hidden: int,
        features: int,
        width: int,
        layers: int,
        length: int,
        dropout: float = 0.0,
    ) -> None:
        """Build it.

        Args:
            hidden: Length of the items' states.
            features: Number of features.
            width: Of every layer, a multiple of 32.
            layers: In which candidates attend to the history.
            length: Items of a history at most.
            dropout: Chance of zeroing an activation in training.
        """
        super().__init__(width, features)
        self.options = {"hidden": hidden, "width": width, "layers": layers, "length": length}
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
            features: (shoppers × candidates, features)

        Returns:
            (shoppers × candidates,) logits, float32.
        """
        standardised = self.standardised(features)
        dtype, length = standardised.dtype, batch.history.shape[1]
        tokens = self.into(batch.history.to(dtype)) + self.ages.weight[:length]
        read = self.reader(self.dropout(tokens), src_key_padding_mask=~batch.known)
        shopper = self.read(read).masked_fill(~batch.known.unsqueeze(-1), 0.0)
        states = self.into(batch.candidates.to(dtype))
        pairs = self.pairs(batch.matches.to(dtype))
        states = states + self.feature_encoder(standardised).view_as(states)
        states = self.dropout(states + self.of_pairs(self.pairs.added_up(pairs, batch.known)))
        for layer in self.layers:
            states = layer(states, shopper, batch.known, pairs)
        return self.corrected(self.last(states), shortlist_scores, standardised)


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
