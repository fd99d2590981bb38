"""Differences between kinds of backbones: BERT, XLM-R, ALBERT, MobileBERT, ModernBERT, GPT-2."""

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import MODEL_MAPPING, PretrainedConfig, PreTrainedModel

SPLIT = frozenset({"bert", "camembert", "roberta", "xlm-roberta"})
"""Kinds that are embeddings and then layers, and nothing else: their layers can run in parts."""
Pooling = Callable[[Tensor, Tensor], Tensor]
"""Maps states (texts, length, hidden) and a mask (texts, length) to (texts, hidden)."""


def splits(bert: nn.Module) -> bool:
    """Whether the layers of a backbone can be run in parts."""
    return _config(bert).model_type in SPLIT


def is_causal(bert: nn.Module) -> bool:
    """Whether each token of a backbone attends to the tokens before it alone, as in GPT-2."""
    return any(getattr(module, "is_causal", False) for module in bert.modules())


def has_segments(bert: nn.Module) -> bool:
    """Whether a backbone tells the second text of a pair from the first."""
    return (getattr(_config(bert), "type_vocab_size", 0) or 0) > 1


def soft_token_size(bert: nn.Module) -> int:
    """Size of a token's embedding, which is smaller than a state in ALBERT, for example."""
    words: nn.Embedding = bert.get_input_embeddings()  # type: ignore[operator]
    return words.embedding_dim


def first_position(bert: nn.Module) -> int:
    """Number of the first position: in RoBERTa's kind, positions follow the padding's id."""
    for name, module in bert.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            return 0 if module.padding_idx is None else module.padding_idx + 1
    return 0


def pooling_of(bert: nn.Module) -> Pooling:
    """How states of tokens become the state of a text: their mean, or the last one if causal."""
    return last_token if is_causal(bert) else mean_over_tokens


def mean_over_tokens(states: Tensor, mask: Tensor) -> Tensor:
    """(texts, hidden): mean of the states (texts, length, hidden) where the mask is 1."""
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


def last_token(states: Tensor, mask: Tensor) -> Tensor:
    """(texts, hidden): the last of the states (texts, length, hidden) where the mask is 1."""
    last = (mask * torch.arange(mask.shape[1], device=mask.device)).argmax(dim=1)
    return states[torch.arange(len(states), device=states.device), last]


def stack_of(bert: nn.Module) -> nn.ModuleList:
    """Layers of a backbone, lowest first, with or without adapters; in ALBERT, groups of layers."""
    size = _groups(_config(bert))
    lists = (part for part in bert.modules() if isinstance(part, nn.ModuleList))
    return next(part for part in lists if len(part) == size)


def top_layers(bert: nn.Module, layers: int) -> list[nn.Module]:
    """Modules that compute the top layers; ALBERT's also compute the layers below."""
    config = _config(bert)
    depth, groups = config.num_hidden_layers, _groups(config)
    stack = stack_of(bert)
    return [stack[g] for g in sorted({i * groups // depth for i in range(depth - layers, depth)})]


def keep_layers(bert: PreTrainedModel, kept: Sequence[int]) -> None:
    """Remove all layers except some.

    Args:
        bert: Backbone.
        kept: Ascending numbers of the layers to keep, from 0 at the bottom.

    Raises:
        ValueError: the backbone has fewer layers, or shares weights across a limit.
    """
    config = _config(bert)
    depth, groups = config.num_hidden_layers, _groups(config)
    if not kept or kept[-1] >= depth:
        raise ValueError(f"layers must be in [1, {depth}], got {len(kept)}")
    of_layer = [layer * groups // depth for layer in kept]
    distinct = sorted(set(of_layer))
    shared = [distinct[place * len(distinct) // len(kept)] for place in range(len(kept))]
    if of_layer != shared:
        raise ValueError(f"layers must be a multiple of {depth // groups}, got {len(kept)}")
    stack = stack_of(bert)
    for group in reversed(range(groups)):
        if group not in distinct:
            del stack[group]
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[layer] for layer in kept]
    config.num_hidden_layers = len(kept)
    if hasattr(config, "num_hidden_groups"):
        config.num_hidden_groups = len(distinct)
    if parts := getattr(config, "inserted", None):  # of the top layers, see `backbone.inserted`
        left = sum(layer >= depth - parts["layers"] for layer in kept)
        config.inserted = {**parts, "layers": left} if left else None


def without_words(bert: PreTrainedModel) -> None:
    """Remove the word embeddings, which are half of a small model: soft tokens remain.

    MobileBERT's embeddings read a word's neighbours too, which would show a shopper's next item to
    the items before it: the part that reads the word itself remains.
    """
    config, size = _config(bert), soft_token_size(bert)
    if not first_position(bert):
        config.pad_token_id = 0
    config.vocab_size = 1 + config.pad_token_id
    words = nn.Embedding(config.vocab_size, size, padding_idx=config.pad_token_id)
    bert.set_input_embeddings(words)
    if config.model_type == "mobilebert" and config.trigram_input:
        embeddings: Any = bert.embeddings
        whole: nn.Linear = embeddings.embedding_transformation
        own = nn.Linear(size, whole.out_features)
        own.load_state_dict({"weight": whole.weight[:, size : 2 * size], "bias": whole.bias})
        embeddings.embedding_transformation = own
        config.trigram_input = embeddings.trigram_input = False


def set_dropout(config: PretrainedConfig, dropout: float) -> None:
    """Set every probability of zeroing an activation in training."""
    for name, value in config.to_dict().items():
        if re.search(r"dropout|pdrop", name) and isinstance(value, float | int):
            setattr(config, name, dropout)


def model_options(config: PretrainedConfig) -> dict[str, Any]:
    """Options of the constructor that leave out a pooler, where the kind has one."""
    model = cast("type[PreTrainedModel]", MODEL_MAPPING[type(config)])
    takes = inspect.signature(model).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in takes else {}


def _groups(config: PretrainedConfig) -> int:
    """Number of modules that hold the layers; fewer than layers where they share weights."""
    return int(getattr(config, "num_hidden_groups", config.num_hidden_layers))


def _config(bert: nn.Module) -> Any:
    return cast("PreTrainedModel", bert).config
