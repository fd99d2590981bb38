"""Parts that are inserted into a frozen backbone and trained: bottlenecks and prefixes.

They cannot be merged into the backbone's weights. So its configuration names them, and loading
inserts them again.
"""

import re
from collections import OrderedDict
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from backbone.attention import SHORT_TEXTS, Prefix
from backbone.kinds import top_layers

OUTPUTS = re.compile(r"(^|\.)(output\.dense|attention\.dense|ffn_output|out_lin|lin2|Wo|c_proj)$")
"""Linear maps of a layer whose output is added to the states."""


class Bottleneck(nn.Module):
    """Adds a narrow network of two layers to its input (Houlsby et al., ICML 2019).

    At the start it adds nothing.
    """

    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(hidden, width), nn.Linear(width, hidden)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, states: Tensor) -> Tensor:
        """(…, hidden): the input plus what the network makes of it."""
        added: Tensor = self.up(functional.gelu(self.down(states)))
        return states + added


def insert(bert: PreTrainedModel, *, kind: str, size: int, layers: int) -> None:
    """Insert parts into the top layers of a backbone, and name them in its configuration.

    Args:
        bert: Backbone; modified in place.
        kind: `bottleneck` or `prefix`.
        size: Width of a bottleneck, or vectors of a prefix.
        layers: Number of top layers.

    Raises:
        ValueError: the backbone has such parts already, or its kind takes none.
    """
    if any(isinstance(part, Bottleneck | Prefix) for part in bert.modules()):
        raise ValueError(
            f"adapter.kind must not be {kind!r} for a backbone that already has "
            f"{bert.config.inserted['kind']!r}; choose none, lora, adalora or bitfit"
        )
    put = _put_bottlenecks if kind == "bottleneck" else _put_prefixes
    if not put(bert, size, layers):
        raise ValueError(
            f"adapter.kind must not be {kind!r} for a backbone of the kind "
            f"{bert.config.model_type!r}; choose none, lora, adalora or bitfit"
        )
    bert.config.inserted = {"kind": kind, "size": size, "layers": layers}


def insert_again(bert: PreTrainedModel) -> None:
    """Insert the parts that a saved backbone's configuration names, if any."""
    if parts := getattr(bert.config, "inserted", None):
        insert(bert, **parts)


def _put_bottlenecks(bert: PreTrainedModel, width: int, layers: int) -> int:
    """Put a bottleneck behind each output within the top layers; returns their number."""
    found = [
        (layer, name, part)
        for layer in top_layers(bert, layers)
        for name, part in layer.named_modules()
        if isinstance(part, nn.Linear | Conv1D) and OUTPUTS.search(name)
    ]
    for layer, name, linear in found:
        hidden = linear.nf if isinstance(linear, Conv1D) else linear.out_features
        parts: Any = OrderedDict(linear=linear, bottleneck=Bottleneck(hidden, width))
        layer.set_submodule(name, nn.Sequential(parts))
    return len(found)


def _put_prefixes(bert: PreTrainedModel, vectors: int, layers: int) -> int:
    """Give a prefix to each attention of the top layers; returns their number."""
    if bert.config._attn_implementation != SHORT_TEXTS:
        return 0  # other attentions read no prefix
    found = [
        (part, int(size))
        for layer in top_layers(bert, layers)
        for part in layer.modules()
        if hasattr(part, "is_causal")
        and (size := getattr(part, "attention_head_size", getattr(part, "head_dim", 0)))
    ]
    for attention, size in found:
        attention.prefix = Prefix(
            heads=bert.config.num_attention_heads,
            vectors=vectors,
            head=size,
            std=bert.config.initializer_range,
        )
    return len(found)
