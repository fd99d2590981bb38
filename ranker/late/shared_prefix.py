"""Cross-attention with a shared prefix: a shopper's history is encoded once for all candidates.

A candidate's tokens attend to the history's tokens and to their own; the history's tokens never
attend to a candidate. Below the joined layers a candidate depends only on itself, so its states
there can be computed before any request (MacAvaney et al., "Efficient Document Re-Ranking for
Transformers by Precomputing Term Representations", SIGIR 2020).
"""

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from backbone.attention import with_prefix
from backbone.batch import TokenBatch
from backbone.kinds import stack_of
from backbone.layers import states_below


def prefix_states(bert: PreTrainedModel, prefix: TokenBatch, *, joined_layers: int) -> list[Tensor]:
    """States of each history that enter the joined layers.

    Args:
        bert: Backbone.
        prefix: (shoppers, length) word pieces of histories.
        joined_layers: Number of top layers in which candidates attend to histories.

    Returns:
        (shoppers, length, hidden) the input of every joined layer, lowest first.
    """
    mask = prefix.mask.bool()[:, None, None, :]
    inputs = [states_below(bert, prefix, trained_layers=joined_layers)]
    for layer in stack_of(bert)[-joined_layers:-1]:  # the last layer's output is not needed
        inputs.append(layer(inputs[-1], mask))
    return inputs


def joined(
    bert: PreTrainedModel, states: Tensor, mask: Tensor, prefix: list[Tensor], prefix_mask: Tensor
) -> Tensor:
    """Run candidates through the joined layers; each attends to its shopper's prefix.

    Args:
        bert: Backbone.
        states: (shoppers, candidates, tokens, hidden) below the joined layers.
        mask: (shoppers, candidates, tokens) bool: false for padding.
        prefix: (shoppers, length, hidden) for each joined layer, lowest first.
        prefix_mask: (shoppers, length) 1 for a token, 0 for padding.

    Returns:
        (shoppers, candidates, tokens, hidden) states above the joined layers.
    """
    for layer, shared in zip(stack_of(bert)[-len(prefix) :], prefix, strict=True):
        states = _layer_forward(layer, states, mask, shared, prefix_mask.bool())
    return states


def _layer_forward(
    layer: Any, states: Tensor, mask: Tensor, prefix: Tensor, prefix_mask: Tensor
) -> Tensor:
    attention = layer.attention.self
    heads = int(attention.num_attention_heads)
    candidates, tokens, hidden = states.shape[1:]

    def split(projected: Tensor) -> Tensor:
        """(…, tokens, hidden) as (…, heads, tokens, head)."""
        return projected.view(*projected.shape[:-1], heads, -1).transpose(-2, -3)

    query, key, value = (
        project(states) for project in (attention.query, attention.key, attention.value)
    )
    query = query * (hidden // heads) ** -0.5
    shared_key, shared_value = (
        split(project(prefix)) for project in (attention.key, attention.value)
    )  # (shoppers, heads, length, head)
    shared_key, shared_value, seen = with_prefix(
        attention, shared_key, shared_value, prefix_mask[:, None, None, :]
    )
    assert seen is not None
    flat_query = split(query.flatten(1, 2))  # (shoppers, heads, candidates × tokens, head)
    masked = torch.finfo(query.dtype).min
    to_prefix = (flat_query @ shared_key.transpose(-1, -2)).masked_fill(~seen, masked)
    to_itself = (split(query) @ split(key).transpose(-1, -2)).masked_fill(
        ~mask[:, :, None, None, :], masked
    )  # (shoppers, candidates, heads, tokens, tokens)
    own = to_itself.transpose(1, 2).flatten(2, 3)  # the shape of `to_prefix` up to the last axis
    weights = torch.cat([to_prefix, own], dim=-1).softmax(dim=-1).to(value.dtype)
    length = shared_key.shape[2]
    from_prefix = (weights[..., :length] @ shared_value).transpose(1, 2)
    own_weights = (
        weights[..., length:].reshape(*own.shape[:2], candidates, tokens, tokens).transpose(1, 2)
    )
    # (shoppers, candidates, tokens, heads, head)
    from_itself = (own_weights @ split(value)).transpose(2, 3)
    mixed = from_prefix.flatten(2).view_as(states) + from_itself.flatten(-2)
    attended = layer.attention.output(mixed, states)
    result: Tensor = layer.output(layer.intermediate(attended), attended)
    return result
