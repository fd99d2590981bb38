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


class Prefix(nn.Module):
    """Learnt keys and values that each token attends to besides the tokens (Li & Liang, ACL 2021).

    At the start all values are zero.
    """

    def __init__(self, *, heads: int, vectors: int, head: int, std: float) -> None:
        """Draw the keys.

        Args:
            heads: Heads of the attention.
            vectors: Keys and values of each head.
            head: Size of a key.
            std: Standard deviation of the keys' numbers.
        """
        super().__init__()
        self.keys = nn.Parameter(std * torch.randn(heads, vectors, head))
        self.values = nn.Parameter(torch.zeros(heads, vectors, head))


def with_prefix(
    attention: nn.Module, key: Tensor, value: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Keys, values and mask with the prefix of an attention in front; as they are without one.

    Args:
        attention: Attention that may have a `Prefix` as its `prefix`.
        key: (texts, heads, tokens, head)
        value: (texts, heads, tokens, head)
        mask: (…, tokens) bool, or added to the logits; None if all tokens are seen.
    """
    prefix = getattr(attention, "prefix", None)
    if not isinstance(prefix, Prefix):
        return key, value, mask
    keys, values = (
        part.to(key.dtype).expand(len(key), -1, -1, -1) for part in (prefix.keys, prefix.values)
    )
    if mask is not None:
        seen = 1.0 if mask.dtype is torch.bool else 0.0
        mask = functional.pad(mask, (keys.shape[2], 0), value=seen)
    return torch.cat([keys, key], dim=2), torch.cat([values, value], dim=2), mask


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
        module: Calling layer; its prefix is attended to, too, if it has one.
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
    key, value, attention_mask = with_prefix(module, key, value, attention_mask)
    long, learns = query.shape[-2] > SHORT, query.requires_grad or key.requires_grad
    if long or dropout or learns or query.device.type != "cpu":
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
