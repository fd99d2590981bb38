"""Cross-attention with a shared prefix: the shopper is read once for all candidates.

A candidate's tokens attend to the shopper's and to their own; the shopper's never attend to a
candidate's. Below the joined layers a candidate depends on nothing but itself, so its states there
can be computed long before anybody asks (MacAvaney et al., "Efficient Document Re-Ranking for
Transformers by Precomputing Term Representations", SIGIR 2020).
"""

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from backbone.batch import TokenBatch
from backbone.layers import layers_of, states_below


def prefix_states(bert: PreTrainedModel, prefix: TokenBatch, *, joined_layers: int) -> list[Tensor]:
    """What the joined layers see of each shopper.

    Args:
        bert: Backbone.
        prefix: (shoppers, length) word pieces of histories.
        joined_layers: How many of the top layers candidates attend to the shopper in.

    Returns:
        (shoppers, length, hidden) the input of every joined layer, lowest first.
    """
    seen = prefix.mask.bool()[:, None, None, :]
    inputs = [states_below(bert, prefix, trained_layers=joined_layers)]
    for layer in layers_of(bert)[-joined_layers:-1]:  # nobody reads what the last one makes
        inputs.append(layer(inputs[-1], seen))
    return inputs


def joined(
    bert: PreTrainedModel, states: Tensor, mask: Tensor, prefix: list[Tensor], prefix_mask: Tensor
) -> Tensor:
    """Take candidates through the top layers, each with the prefix of its shopper before it.

    Args:
        bert: Backbone.
        states: (shoppers, candidates, tokens, hidden) under the joined layers.
        mask: (shoppers, candidates, tokens) whether there is a token.
        prefix: (shoppers, length, hidden) for each joined layer, lowest first.
        prefix_mask: (shoppers, length) 1 for a token, 0 for padding.

    Returns:
        (shoppers, candidates, tokens, hidden)
    """
    for layer, shared in zip(layers_of(bert)[-len(prefix) :], prefix, strict=True):
        states = _through(layer, states, mask, shared, prefix_mask.bool())
    return states


def _through(
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
    everyone = split(query.flatten(1, 2))  # (shoppers, heads, candidates × tokens, head)
    nothing = torch.finfo(query.dtype).min
    to_shopper = (everyone @ shared_key.transpose(-1, -2)).masked_fill(
        ~prefix_mask[:, None, None, :], nothing
    )
    to_itself = (split(query) @ split(key).transpose(-1, -2)).masked_fill(
        ~mask[:, :, None, None, :], nothing
    )  # (shoppers, candidates, heads, tokens, tokens)
    own = to_itself.transpose(1, 2).flatten(2, 3)  # as `to_shopper`, but for the last axis
    weights = torch.cat([to_shopper, own], dim=-1).softmax(dim=-1).to(value.dtype)
    length = prefix.shape[1]
    from_shopper = (weights[..., :length] @ shared_value).transpose(1, 2)
    alone = (
        weights[..., length:].reshape(*own.shape[:2], candidates, tokens, tokens).transpose(1, 2)
    )
    from_itself = (alone @ split(value)).transpose(2, 3)  # (shoppers, candidates, tokens, heads, …)
    read = from_shopper.flatten(2).view_as(states) + from_itself.flatten(-2)
    attended = layer.attention.output(read, states)
    result: Tensor = layer.output(layer.intermediate(attended), attended)
    return result
