"""A backbone that reads pairs of texts and fills in masked words; plain torch."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from backbone.kinds import pooling_of, soft_token_size
from backbone.layers import token_states
from backbone.text_parts import TextParts
from pretraining.batches import Words

QUIET = 0.05
"""Initial scale of the states that predict words: small, so that the new head learns first"""


class WordHead(nn.Module):
    """Predicts word pieces from states, by the backbone's own word embeddings."""

    def __init__(self, bert: PreTrainedModel) -> None:
        """Build the head of a backbone; it holds no word embeddings itself."""
        super().__init__()
        hidden, size = bert.config.hidden_size, soft_token_size(bert)
        self.map = nn.Linear(hidden, size)
        self.norm = nn.LayerNorm(size)
        words: nn.Embedding = bert.get_input_embeddings()  # type: ignore[assignment]  # of every kind
        self.bias = nn.Parameter(torch.zeros(words.num_embeddings))
        if hidden == size:
            nn.init.eye_(self.map.weight)
        nn.init.zeros_(self.map.bias)
        nn.init.constant_(self.norm.weight, QUIET)

    def forward(self, states: Tensor, embeddings: Tensor) -> Tensor:
        """(words, vocabulary) logits of states (words, hidden)."""
        read = self.norm(functional.gelu(self.map(states)))
        return functional.linear(read.to(embeddings.dtype), embeddings, self.bias)


class TextReader(nn.Module):
    """A backbone that reads texts to pooled states."""

    def __init__(self, bert: PreTrainedModel) -> None:
        super().__init__()
        self.bert, self._pooled = bert, pooling_of(bert)

    def read(self, texts: TextParts) -> Tensor:
        """(texts, hidden) float32, unit length: each text's states, pooled as its kind asks."""
        return self.pooled(self.states(texts), texts)

    def states(self, texts: TextParts) -> list[Tensor]:
        """(texts, length, hidden) states of every token, by the part of the texts."""
        return [token_states(self.bert, part.ids, part.mask, part.segments) for part in texts.parts]

    def pooled(self, states: Sequence[Tensor], texts: TextParts) -> Tensor:
        """(texts, hidden) float32, unit length, from the states of every token."""
        pooled = [
            self._pooled(one, part.mask) for one, part in zip(states, texts.parts, strict=True)
        ]
        return functional.normalize(torch.cat(pooled).float(), dim=-1)[texts.order]


class PretrainModel(TextReader):
    """A backbone, and a head for masked words."""

    def __init__(self, bert: PreTrainedModel) -> None:
        super().__init__(bert)
        self.head = WordHead(bert)

    def read_words(self, texts: TextParts, words: Words | None) -> tuple[Tensor, Tensor | None]:
        """`read`, and (words, vocabulary) float32 logits of the masked words, if there are any."""
        states = self.states(texts)
        read = self.pooled(states, texts)
        if words is None:
            return read, None
        tokens = torch.cat([one.flatten(0, 1) for one in states])[words.places]
        embeddings = self.bert.get_input_embeddings().weight
        return read, self.head(tokens, embeddings).float()


def pair_loss(first: Tensor, second: Tensor, related: Tensor, temperature: float) -> Tensor:
    """InfoNCE of pairs in both directions, with the other pairs of the batch as negatives, nats.

    Args:
        first: (pairs, hidden) first texts, of unit length.
        second: (pairs, hidden) second texts, of unit length.
        related: (pairs, pairs) bool: second texts that are no negatives of the first ones; False
            on the diagonal.
        temperature: Divides the cosines.

    Source: van den Oord et al., "Representation learning with contrastive predictive coding", 2018;
    Gao et al., "SimCSE", EMNLP 2021, for texts paired with themselves.
    """
    logits = (first @ second.T / temperature).masked_fill(related, -torch.inf)
    own = torch.arange(len(logits), device=logits.device)
    forward, backward = (functional.cross_entropy(one, own) for one in (logits, logits.T))
    return (forward + backward) / 2
