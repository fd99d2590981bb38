"""Freezes layers of a backbone, and runs all or some of them."""

import torch
from torch import nn
from transformers import PreTrainedModel

from backbone.batch import TokenBatch
from backbone.kinds import has_segments, splits, stack_of, top_layers


def freeze_below(bert: PreTrainedModel, trained_layers: int) -> None:
    """Freeze all weights except the top layers; if all layers are trained, freeze none.

    Layers that share weights with a trained one, as in ALBERT, are trained, too.

    Raises:
        ValueError: the model has fewer layers.
    """
    depth = bert.config.num_hidden_layers
    if not 0 <= trained_layers <= depth:
        raise ValueError(f"trained_layers must be in [0, {depth}], got {trained_layers}")
    if trained_layers < depth:
        bert.requires_grad_(requires_grad=False)
        for layer in top_layers(bert, trained_layers):
            layer.requires_grad_(requires_grad=True)


def token_states(
    bert: nn.Module, ids: torch.Tensor, mask: torch.Tensor, segments: torch.Tensor
) -> torch.Tensor:
    """(texts, length, hidden): states of every token, by the plain forward pass of any backbone.

    Args:
        bert: Backbone, with or without adapters.
        ids: (texts, length) tokens.
        mask: (texts, length) 1 for a token, 0 for padding.
        segments: (texts, length) 1 for the second text of a pair; not used by kinds without.
    """
    pair = {"token_type_ids": segments} if has_segments(bert) else {}
    states: torch.Tensor = bert(input_ids=ids, attention_mask=mask, **pair).last_hidden_state
    return states


def states_of(bert: PreTrainedModel, batch: TokenBatch) -> torch.Tensor:
    """(texts, length, hidden): states of every token, in the fastest way that the kind has."""
    if splits(bert):
        return states_below(bert, batch, trained_layers=0)
    return token_states(bert, batch.ids, batch.mask, batch.segments)


def states_below(bert: PreTrainedModel, batch: TokenBatch, *, trained_layers: int) -> torch.Tensor:
    """(texts, length, hidden): states below the trained top layers, which are their input.

    For backbones that `kinds.splits`.
    """
    stack = stack_of(bert)
    embeddings: nn.Module = bert.embeddings  # type: ignore[assignment]
    states = embeddings(input_ids=batch.ids, token_type_ids=batch.segments)
    return _through(stack[: len(stack) - trained_layers], states, batch.mask)


def through_top(
    bert: PreTrainedModel, states: torch.Tensor, mask: torch.Tensor, *, trained_layers: int
) -> torch.Tensor:
    """(texts, length, hidden): output of the top layers, given the states below them.

    Args:
        bert: Backbone that `kinds.splits`, with or without adapters.
        states: (texts, length, hidden) result of `states_below`.
        mask: (texts, length) 1 for a token, 0 for padding.
        trained_layers: Number of top layers.
    """
    stack = stack_of(bert)
    return _through(stack[len(stack) - trained_layers :], states, mask)


def _through(layers: nn.ModuleList, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    seen = mask.bool()[:, None, None, :]
    for layer in layers:
        states = layer(states, seen)
    return states
