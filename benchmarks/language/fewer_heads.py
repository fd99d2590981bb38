"""Removes the attention heads of a BERT that change its states of texts least."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from backbone.batch import TokenBatch
from backbone.kinds import pooling_of, stack_of
from backbone.layers import token_states


def without_heads(bert: PreTrainedModel, kept: int, batch: TokenBatch) -> PreTrainedModel:
    """A copy of which every layer has the most important of its heads alone.

    A head is as important as the states of texts change without it (Michel, Levy & Neubig, "Are
    sixteen heads really better than one?", NeurIPS 2019). What is left cannot be saved:
    `config.json` has one number of heads, and derives their size from it.

    Args:
        bert: Backbone of BERT's kind.
        kept: Heads to keep in a layer.
        batch: Texts that show how important a head is.

    Raises:
        ValueError: a layer has fewer heads.
    """
    heads = bert.config.num_attention_heads
    if not 1 <= kept <= heads:
        raise ValueError(f"heads must be in [1, {heads}], got {kept}")
    pruned = deepcopy(bert)
    layers: list[Any] = list(stack_of(pruned))
    for layer, important in zip(layers, head_importance(bert, batch), strict=True):
        rows = _rows(important.topk(kept).indices.sort().values, bert)
        attention = layer.attention.self
        for part in (attention.query, attention.key, attention.value):
            part.weight.data, part.bias.data = part.weight[rows].detach(), part.bias[rows].detach()
        out = layer.attention.output.dense
        out.weight.data = out.weight[:, rows].detach()
    return pruned


@torch.no_grad()
def head_importance(bert: PreTrainedModel, batch: TokenBatch) -> Tensor:
    """(layers, heads): mean of 1 − cosine of the texts' states with and without each head."""
    whole = _read(bert, batch)
    heads, layers = bert.config.num_attention_heads, list[Any](stack_of(bert))
    found = torch.zeros(len(layers), heads)
    for number, layer in enumerate(layers):
        for head in range(heads):
            with _silent(layer.attention.output.dense, _rows(torch.tensor([head]), bert)):
                found[number, head] = 1 - (_read(bert, batch) * whole).sum(dim=1).mean()
    return found


@contextmanager
def _silent(out: nn.Linear, rows: Tensor) -> Iterator[None]:
    """Ignore some inputs of a map meanwhile."""
    weight = out.weight.data
    out.weight.data = weight.index_fill(1, rows, 0.0)
    try:
        yield
    finally:
        out.weight.data = weight


def _rows(heads: Tensor, bert: PreTrainedModel) -> Tensor:
    """Places of heads among the numbers that attention computes."""
    size: int = bert.config.hidden_size // bert.config.num_attention_heads
    return (heads[:, None] * size + torch.arange(size)).flatten()


def _read(bert: PreTrainedModel, batch: TokenBatch) -> Tensor:
    states = token_states(bert, batch.ids, batch.mask, batch.segments)
    read: Tensor = functional.normalize(pooling_of(bert)(states, batch.mask), dim=-1)
    return read
