"""Attention for short texts, for which PyTorch's own attention is mostly overhead."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import sdpa_mask

SHORT_TEXTS = "short_texts"
"""Name of this attention in a model's configuration."""
SHORT = 24
"""Largest number of tokens for which two plain matrix products are faster on a CPU."""
NOWHERE = -1e4
"""Logit of a masked token."""
SAFE = 2 / 3
"""Logits below this share of log(the precision's largest number) need no maximum subtracted."""


def fast_on_short_texts(bert: PreTrainedModel) -> None:
    """Make a backbone use `short_text_attention`; its attention must not be causal."""
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
    **kwargs: Any,  # noqa: ARG001  # transformers passes more for some models
) -> tuple[Tensor, None]:
    """Scaled dot-product attention with the signature that `transformers` expects.

    Args:
        module: Calling layer.
        query: (texts, heads, tokens, head)
        key: (texts, heads, tokens, head)
        value: (texts, heads, tokens, head)
        attention_mask: (texts, 1 or heads, 1 or tokens, tokens) bool, or added to the logits.
        scaling: Multiplies the logits; by default 1 / √head.
        dropout: Probability of zeroing a weight in training.
        **kwargs: Not used.

    Returns:
        (texts, tokens, heads, head), and None instead of the weights.
    """
    del module
    long = query.shape[-2] > SHORT
    if long or dropout or query.requires_grad or query.device.type != "cpu":
        attended = functional.scaled_dot_product_attention(
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
            total = weights.sum(dim=-1, keepdim=True)  # 0 where a window holds padding alone
            attended = (weights @ value) / total.clamp(min=torch.finfo(total.dtype).tiny)
        else:
            attended = logits.softmax(dim=-1).to(value.dtype) @ value
    return attended.transpose(1, 2).contiguous(), None
