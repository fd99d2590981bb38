"""The decoder: a causal transformer over histories, and a network that writes an item's codes."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from generative.config import GenerativeConfig

EXPANSION = 4
"""Width of the feed-forward layers of the history, in widths"""


class Writer(nn.Module):
    """Logits of one level's codes, from the state of a history and the codes so far."""

    def __init__(self, width: int, size: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.last_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.widened, self.added = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.code_vectors = nn.Linear(width, size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor) -> Tensor:
        """(rows, size) logits; states (rows, width)."""
        added = self.added(self.dropout(functional.gelu(self.widened(self.norm(states)))))
        logits: Tensor = self.code_vectors(self.dropout(self.last_norm(states + added)))
        return logits


class Decoder(nn.Module):
    """p(next item | history) as the product of its codes' probabilities.

    An item of a history is one place: the sum of its codes' embeddings. The state of a place writes
    the next item's codes one after the other; each code that is written adds its embedding to the
    state. So a history is read once, and a beam costs one small network a code.

    Source: Lee et al., "Autoregressive image generation using residual quantization", CVPR 2022.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        width: int,
        layers: int,
        heads: int,
        length: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.length = length
        self.read = nn.ModuleList(nn.Embedding(size, width) for size in sizes)
        self.written = nn.ModuleList(nn.Embedding(size, width) for size in sizes[:-1])
        self.positions = nn.Embedding(length, width)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width,
                heads,
                EXPANSION * width,
                dropout,
                "gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(layers)
        )
        self.writers = nn.ModuleList(Writer(width, size, dropout) for size in sizes)
        for embedding in (*self.read, *self.written, self.positions):
            nn.init.normal_(cast("nn.Embedding", embedding).weight, std=0.02)

    def _writer(self, level: int) -> Writer:
        return cast("Writer", self.writers[level])

    @torch.no_grad()
    def _add_nothing_but_the_mean(self) -> None:
        """Let the first layer add the mean of the items so far, and everything else nothing."""
        layers = [cast("nn.TransformerEncoderLayer", layer) for layer in self.layers]
        added: list[Tensor] = [self.positions.weight]
        for layer in layers:
            added += [*layer.self_attn.out_proj.parameters(), *layer.linear2.parameters()]
        for level in range(len(self.writers)):
            added += self._writer(level).added.parameters()
        for weights in added:
            weights.zero_()
        attention, width = layers[0].self_attn, self.positions.embedding_dim
        assert attention.in_proj_weight is not None
        attention.in_proj_weight.copy_(torch.eye(width).repeat(3, 1))
        attention.in_proj_weight[: 2 * width] *= 0.02  # queries and keys: almost equal attention
        attention.out_proj.weight.copy_(torch.eye(width) / width**0.5)  # undoes the norm's scale

    @torch.no_grad()
    def start_from(self, centroids: Sequence[Tensor]) -> None:
        """Begin with a decoder that writes items like the last one and the mean of the history.

        The state of a place is then the sum of both vectors. A code that is written is taken from
        it, and the next level's codes are compared with what is left, as in residual quantisation.

        Args:
            centroids: (codes, width) of each level but the last.
        """
        self._add_nothing_but_the_mean()
        for level, means in enumerate(centroids):
            cast("nn.Embedding", self.read[level]).weight.copy_(means)
            cast("nn.Embedding", self.written[level]).weight.copy_(-means)
            self._writer(level).code_vectors.weight.copy_(means)

    def states(self, codes: Tensor) -> Tensor:
        """(histories, items, width) state after each item; (histories, items, levels) codes.

        A place reads only the places before it, so what fills up a history at its end is harmless.
        """
        embedded = sum(read(codes[..., level]) for level, read in enumerate(self.read))
        places = torch.arange(codes.shape[1], device=codes.device)
        hidden = self.dropout(embedded + self.positions(places))
        mask = nn.Transformer.generate_square_subsequent_mask(len(places), device=codes.device)
        for layer in self.layers:
            hidden = layer(hidden, src_mask=mask, is_causal=True)
        return cast("Tensor", hidden)

    def logits(self, states: Tensor, level: int) -> Tensor:
        """(rows, codes) logits of the code of a level; states after the codes before it."""
        logits: Tensor = self._writer(level)(states)
        return logits

    def advance(self, states: Tensor, level: int, codes: Tensor) -> Tensor:
        """(rows, width) states after a code of a level was written."""
        longer: Tensor = states + self.written[level](codes)
        return longer


def log_probabilities(logits: Tensor, continuing: Tensor) -> Tensor:
    """(rows, codes) log probabilities among the codes that continue a prefix, -inf for others."""
    return functional.log_softmax(logits.masked_fill(~continuing, -torch.inf), dim=-1)


def empty_decoder(sizes: Sequence[int], config: GenerativeConfig) -> Decoder:
    """A decoder with random weights, for levels of the given numbers of codes."""
    return Decoder(
        sizes,
        width=config.width,
        layers=config.layers,
        heads=config.heads,
        length=config.history_length,
        dropout=config.dropout,
    )
