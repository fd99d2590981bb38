"""Attention over short texts, where PyTorch's own spends most of its time on overhead."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import sdpa_mask

SHORT_TEXTS = "short_texts"
"""Name under which a model's configuration asks for it."""
SHORT = 24
"""Tokens up to which two plain products are faster on a CPU."""
NOWHERE = -1e4
"""Logit of a place that must not be looked at."""
SAFE = 2 / 3
"""Share of the exponents of a precision up to which logits need no maximum taken away."""


def fast_on_short_texts(bert: PreTrainedModel) -> None:
    """Let a backbone attend by `short_text_attention`, if it lets itself be told how to."""
    if not getattr(bert, "_supports_attention_backend", False):
        return
    AttentionInterface.register(SHORT_TEXTS, short_text_attention)
    AttentionMaskInterface.register(SHORT_TEXTS, sdpa_mask)
    bert.set_attn_implementation(SHORT_TEXTS)


def short_text_attention(  # noqa: PLR0917  # as `transformers` calls it
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,  # noqa: ARG001  # transformers passes what some models need
) -> tuple[Tensor, None]:
    """Scaled dot-product attention, as `transformers` calls it.

    Args:
        module: The layer that asks.
        query: (texts, heads, tokens, head)
        key: (texts, heads, tokens, head)
        value: (texts, heads, tokens, head)
        attention_mask: (texts, 1 or heads, 1 or tokens, tokens) bool, or added to the logits.
        scaling: Multiplies the logits; by default 1 / √head.
        dropout: Chance of zeroing a weight in training.
        **kwargs: What some models need.

    Returns:
        (texts, tokens, heads, head), and no weights.
    """
    del module
    long = query.shape[-2] > SHORT
    if long or dropout or query.requires_grad or query.device.type != "cpu":
        read = functional.scaled_dot_product_attention(
            query, key, value, attention_mask, dropout_p=dropout, scale=scaling
        )
    else:
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        logits = scale * query @ key.transpose(-1, -2)
        low, high = (float(bound) for bound in logits.aminmax())
        if attention_mask is not None and attention_mask.dtype.is_floating_point:
            logits += attention_mask
        elif attention_mask is not None:
            logits.masked_fill_(~attention_mask, NOWHERE)
        if max(-low, high) < SAFE * math.log(torch.finfo(logits.dtype).max):
            weights = logits.exp_()
            read = (weights @ value) / weights.sum(dim=-1, keepdim=True)
        else:
            read = logits.softmax(dim=-1).to(value.dtype) @ value
    return read.transpose(1, 2).contiguous(), None
