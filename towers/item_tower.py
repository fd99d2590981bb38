"""The item tower: what an item's text says, and what only its buyers know of it."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from backbone.batch import TokenBatch
from backbone.chunked_gradients import in_chunks
from backbone.layers import mean_over_tokens, through_top

BEHAVIOUR = 2.0
"""Length of what behaviour says beside an item's text, whose length is about 1."""
RIDGE = 30.0
"""Penalty of the regression from standardised texts, in items."""


class ItemTower(nn.Module):
    """BERT over an item's text, projected, plus a learned residual of the item; unit length.

    The texts of a corpus are read once and kept in a table; a training step reads some of them
    anew, with gradients, and puts them back. The residual begins as what behaviour alone says and
    is left out at random, so that an embedding without it, which is all that an unseen item has,
    stays a good one.
    It counts the less, the less an item was bought: what few purchases say is mostly chance.
    """

    support: Tensor

    def __init__(
        self,
        bert: PreTrainedModel,
        *,
        dimension: int,
        support: Tensor | None = None,
        residual_dropout: float = 0.0,
        texts_at_once: int | None = None,
    ) -> None:
        """Build it around a backbone.

        Args:
            bert: Encoder of texts.
            dimension: Length of an embedding.
            support: (items,) how much of its residual an item's embedding gets, 0 to 1; None for
                a tower without residuals.
            residual_dropout: Chance of leaving an item's residual out, a training step.
            texts_at_once: Texts whose activations are held at once in training; by default all.
        """
        super().__init__()
        self.bert = bert
        self.projection = nn.Linear(bert.config.hidden_size, dimension)
        self.residual: nn.Embedding | None = None
        if support is not None:
            self.residual = nn.Embedding(len(support), dimension)
            nn.init.zeros_(self.residual.weight)
        self.register_buffer("support", support, persistent=False)
        self.residual_dropout, self.texts_at_once = residual_dropout, texts_at_once

    def read(self, texts: TokenBatch) -> Tensor:
        """(texts, hidden) float32, unit length: mean over the tokens."""

        def mean(ids: Tensor, mask: Tensor, segments: Tensor) -> Tensor:
            states = self.bert(
                input_ids=ids, attention_mask=mask, token_type_ids=segments
            ).last_hidden_state  # (texts, length, hidden)
            return mean_over_tokens(states, mask)

        read = in_chunks(mean, texts.ids, texts.mask, texts.segments, size=self.texts_at_once)
        return functional.normalize(read.float(), dim=-1)

    def read_on(self, states: Tensor, mask: Tensor, *, layers: int) -> Tensor:
        """What `read` says of texts whose states under the top layers are known.

        Args:
            states: (texts, length, hidden)
            mask: (texts, length) 1 for a token, 0 for padding.
            layers: How many layers are the top.
        """

        def mean(states: Tensor, mask: Tensor) -> Tensor:
            return mean_over_tokens(
                through_top(self.bert, states, mask, trained_layers=layers), mask
            )

        read = in_chunks(mean, states, mask, size=self.texts_at_once)
        return functional.normalize(read.float(), dim=-1)

    def forward(self, texts: Tensor, rows: Tensor | None = None) -> Tensor:
        """Embed items: `unnormalised`, of unit length."""
        return functional.normalize(self.unnormalised(texts, rows), dim=-1)

    def unnormalised(self, texts: Tensor, rows: Tensor | None = None) -> Tensor:
        """What texts and residuals add up to.

        Args:
            texts: (items, hidden) what `read` made of their texts.
            rows: (items,) int64 rows in the corpus; None for items that are new to it.

        Returns:
            (items, dimension) float32, of any length.
        """
        embeddings: Tensor = self.projection(texts.to(self.projection.weight.dtype)).float()
        if self.residual is not None and rows is not None:
            residual = self.residual(rows) * self.support[rows, None]
            if self.training and self.residual_dropout:
                kept = torch.rand(len(rows), 1, device=rows.device) >= self.residual_dropout
                residual = residual * kept
            embeddings = embeddings + residual
        return embeddings

    def embed_words(self, texts: TokenBatch) -> Tensor:
        """(texts, dimension): where an item of some words would lie, were there one."""
        return functional.normalize(self.unnormalised_words(texts), dim=-1)

    def unnormalised_words(self, texts: TokenBatch) -> Tensor:
        """The same before it gets unit length: what words add to an item's place."""
        if not len(texts.ids):
            return self.projection.weight.new_empty(0, self.projection.out_features)
        with torch.no_grad():
            read = self.read(texts)
        return self.unnormalised(read)

    @torch.no_grad()
    def fit_projection(self, texts: Tensor) -> None:
        """Start as the texts' own principal directions, strongest first, about their mean.

        Args:
            texts: (items, hidden) what `read` made of the corpus.
        """
        mean = texts.mean(dim=0)
        centred = texts - mean
        _, _, directions = torch.linalg.svd(centred, full_matrices=False)
        scale = centred.norm(dim=1).pow(2).mean().rsqrt()
        weight = nn.init.orthogonal_(torch.empty_like(self.projection.weight))
        known = min(len(weight), len(directions))
        weight[:known] = directions[:known]
        self.projection.weight.copy_(weight * scale)
        self.projection.bias.copy_(-(weight * scale) @ mean)

    @torch.no_grad()
    def fit_behaviour(self, texts: Tensor, behaviour: Tensor) -> None:
        """Start from what behaviour says too: what texts foretell of it goes to the projection.

        The embeddings of behaviour are first turned as near to the texts' as they get: turned they
        lose nothing of what they say of one another, and what both say of an item adds up
        (orthogonal Procrustes: Schönemann, Psychometrika 1966). A ridge regression then adds to the
        projection what the texts foretell of them, so that an unseen item begins where such texts
        are bought, and the residuals are the rest.

        Args:
            texts: (items, hidden) what `read` made of the corpus.
            behaviour: (items, dimension) of unit length, or zero.
        """
        assert self.residual is not None
        support = self.support[:, None]
        left, _, right = torch.linalg.svd((behaviour * support).T @ self.projection(texts))
        turned = BEHAVIOUR * behaviour @ (left @ right)  # (items, dimension)
        mean, spread = texts.mean(dim=0), texts.std()
        known = functional.pad((texts - mean) / spread, (0, 1), value=1.0)  # (items, hidden + 1)
        ridge = RIDGE * torch.eye(known.shape[1], device=known.device)
        solution = torch.linalg.solve(
            (known * support).T @ known + ridge, (known * support).T @ turned
        )
        weight = solution[:-1].T / spread
        self.projection.weight.add_(weight)
        self.projection.bias.add_(solution[-1] - weight @ mean)
        self.residual.weight.copy_((turned - known @ solution) * (support > 0))
