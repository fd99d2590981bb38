"""The item tower: an item's text, encoded, plus a residual learned from its purchases."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from backbone.batch import TokenBatch
from backbone.chunked_gradients import in_chunks
from backbone.kinds import pooling_of
from backbone.layers import through_top, token_states

BEHAVIOUR = 2.0
"""Initial length of the part from purchases; the text's part has a length of about 1."""
RIDGE = 30.0
"""Penalty of the ridge regression on standardised texts, in items."""

SAME = 1e-3
"""Share of the texts' length within which they are all the same"""


class ItemTower(nn.Module):
    """A backbone over an item's text, projected, plus a learned residual of the item; unit length.

    All texts of the corpus are encoded once and stored in a table. A training step encodes some of
    them again, with gradients, and updates the table. The residual starts from the SVD of purchases
    and is left out at random, so that embeddings without it stay good: new items have none. It
    weighs less for items with few purchases, which are mostly chance.
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
        """Build the tower around a backbone.

        Args:
            bert: Encoder of texts.
            dimension: Dimension of an embedding.
            support: (items,) weight of each item's residual, in [0, 1]; None for a tower without
                residuals.
            residual_dropout: Probability of leaving out an item's residual at a training step.
            texts_at_once: Texts whose activations are in memory at once in training; by default
                all.
        """
        super().__init__()
        self.bert, self._pooled = bert, pooling_of(bert)
        self.projection = nn.Linear(bert.config.hidden_size, dimension)
        self.residual: nn.Embedding | None = None
        if support is not None:
            self.residual = nn.Embedding(len(support), dimension)
            nn.init.zeros_(self.residual.weight)
        self.register_buffer("support", support, persistent=False)
        self.residual_dropout, self.texts_at_once = residual_dropout, texts_at_once

    def read(self, texts: TokenBatch) -> Tensor:
        """(texts, hidden) float32, unit length: each text's states, pooled as its kind asks."""

        def pooled(ids: Tensor, mask: Tensor, segments: Tensor) -> Tensor:
            return self._pooled(token_states(self.bert, ids, mask, segments), mask)

        read = in_chunks(pooled, texts.ids, texts.mask, texts.segments, size=self.texts_at_once)
        return functional.normalize(read.float(), dim=-1)

    def read_on(self, states: Tensor, mask: Tensor, *, layers: int) -> Tensor:
        """The same as `read`, computed from the states below the top layers.

        Args:
            states: (texts, length, hidden) states below the top layers.
            mask: (texts, length) 1 for a token, 0 for padding.
            layers: Number of top layers.
        """

        def pooled(states: Tensor, mask: Tensor) -> Tensor:
            top = through_top(self.bert, states, mask, trained_layers=layers)
            return self._pooled(top, mask)

        read = in_chunks(pooled, states, mask, size=self.texts_at_once)
        return functional.normalize(read.float(), dim=-1)

    def forward(self, texts: Tensor, rows: Tensor | None = None) -> Tensor:
        """(items, dimension) float32, unit length: `unnormalised`, normalised."""
        return functional.normalize(self.unnormalised(texts, rows), dim=-1)

    def unnormalised(self, texts: Tensor, rows: Tensor | None = None) -> Tensor:
        """Item embeddings before normalisation: projected text plus weighted residual.

        Args:
            texts: (items, hidden) texts encoded by `read`.
            rows: (items,) int64 item rows; None for items that are new to the corpus.

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

    def embed_words(self, texts: TokenBatch, *, learn: bool = False) -> Tensor:
        """(texts, dimension): embeddings of new items with these texts; also used for searches.

        Args:
            texts: Word pieces.
            learn: Whether the backbone learns from these texts.
        """
        return functional.normalize(self.unnormalised_words(texts, learn=learn), dim=-1)

    def unnormalised_words(self, texts: TokenBatch, *, learn: bool = False) -> Tensor:
        """(texts, dimension): `embed_words` before normalisation."""
        if not len(texts.ids):
            return self.projection.weight.new_empty(0, self.projection.out_features)
        with torch.set_grad_enabled(learn and torch.is_grad_enabled()):
            read = self.read(texts)
        return self.unnormalised(read)

    @torch.no_grad()
    def fit_projection(self, texts: Tensor) -> None:
        """Initialise the projection with the principal components of the texts, strongest first.

        Texts that are all the same, such as the only one, are not centred: nothing would be left.

        Args:
            texts: (items, hidden) texts of the corpus, encoded by `read`.
        """
        mean = texts.mean(dim=0)
        centred = texts - mean
        if centred.norm() <= SAME * texts.norm():
            mean, centred = torch.zeros_like(mean), texts
        _, _, directions = torch.linalg.svd(centred, full_matrices=False)
        scale = centred.norm(dim=1).pow(2).mean().rsqrt()
        weight = nn.init.orthogonal_(torch.empty_like(self.projection.weight))
        count = min(len(weight), len(directions))
        weight[:count] = directions[:count]
        self.projection.weight.copy_(weight * scale)
        self.projection.bias.copy_(-(weight * scale) @ mean)

    @torch.no_grad()
    def fit_behaviour(self, texts: Tensor, behaviour: Tensor) -> None:
        """Initialise the projection and the residuals from an SVD of purchases.

        First rotates the SVD embeddings towards the text embeddings: a rotation preserves their
        inner products, and the two parts of an item then add up (orthogonal Procrustes: Schönemann,
        Psychometrika 1966). Then adds a ridge regression of the rotated embeddings on the texts to
        the projection, so that a new item starts near items whose texts predict similar purchases.
        The residuals of the regression become the items' residuals.

        Args:
            texts: (items, hidden) texts of the corpus, encoded by `read`.
            behaviour: (items, dimension) SVD embeddings of unit length; zero without purchases.
        """
        assert self.residual is not None
        support = self.support[:, None]
        left, _, right = torch.linalg.svd((behaviour * support).T @ self.projection(texts))
        rotated = BEHAVIOUR * behaviour @ (left @ right)  # (items, dimension)
        weight, bias, predicted = ridge(texts, rotated, support)
        self.projection.weight.add_(weight)
        self.projection.bias.add_(bias)
        self.residual.weight.copy_((rotated - predicted) * (support > 0))


def ridge(texts: Tensor, targets: Tensor, support: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Linear map of a ridge regression on standardised texts.

    Args:
        texts: (items, hidden) encoded texts.
        targets: (items, dimension) what is predicted.
        support: (items, 1) weight of each item.

    Returns:
        Weight (dimension, hidden) and bias (dimension,) of the map from texts as they are, and its
        (items, dimension) predictions.
    """
    mean, spread = texts.mean(dim=0), texts.std()
    design = functional.pad((texts - mean) / spread, (0, 1), value=1.0)  # (items, hidden + 1)
    penalty = RIDGE * torch.eye(design.shape[1], device=design.device)
    solution = torch.linalg.solve(
        (design * support).T @ design + penalty, (design * support).T @ targets
    )
    weight = solution[:-1].T / spread
    return weight, solution[-1] - weight @ mean, design @ solution
