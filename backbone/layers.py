"""Freezes layers of a BERT, runs some of them, and pools tokens."""

from typing import cast

import torch
from torch import nn
from transformers import (
    PreTrainedModel,
)

from backbone.batch import TokenBatch


def freeze_below(bert: PreTrainedModel, trained_layers: int) -> None:
    """Freeze all weights below the top layers; if all layers are trained, freeze none.

    Raises:
        ValueError: the model has fewer layers.
    """
    layers = layers_of(bert)
    if not 0 <= trained_layers <= len(layers):
        raise ValueError(f"trained_layers must be in [0, {len(layers)}], got {trained_layers}")
    frozen = len(layers) - trained_layers
    if frozen:
        cast("nn.Module", bert.embeddings).requires_grad_(requires_grad=False)
    for layer in layers[:frozen]:
        layer.requires_grad_(requires_grad=False)


def states_below(bert: PreTrainedModel, batch: TokenBatch, *, trained_layers: int) -> torch.Tensor:
    """(texts, length, hidden): states below the trained top layers, which are their input."""
    stack = layers_of(bert)
    embeddings = cast("nn.Module", bert.embeddings)
    states = embeddings(input_ids=batch.ids, token_type_ids=batch.segments)
    return _through(stack[: len(stack) - trained_layers], states, batch.mask)


def through_top(
    bert: PreTrainedModel, states: torch.Tensor, mask: torch.Tensor, *, trained_layers: int
) -> torch.Tensor:
    """(texts, length, hidden): output of the top layers, given the states below them.

    Args:
        bert: Backbone, with or without adapters.
        states: (texts, length, hidden) result of `states_below`.
        mask: (texts, length) 1 for a token, 0 for padding.
        trained_layers: Number of top layers.
    """
    stack = layers_of(bert)
    return _through(stack[len(stack) - trained_layers :], states, mask)


def _through(layers: nn.ModuleList, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    seen = mask.bool()[:, None, None, :]
    for layer in layers:
        states = layer(states, seen)
    return states


def layers_of(bert: PreTrainedModel) -> nn.ModuleList:
    """Layers of a backbone, lowest first, with or without adapters."""
    return cast("nn.ModuleList", cast("nn.Module", bert.encoder).layer)


def mean_over_tokens(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(texts, hidden): mean of the states (texts, length, hidden) where the mask is 1."""
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)
