"""Loads a pretrained BERT by hub name or local folder, and says which precision serves it best."""

import os
from pathlib import Path
from typing import cast

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.initialization import no_init_weights
from transformers.utils import logging as transformers_logging

from backbone.attention import fast_on_short_texts
from backbone.batch import TokenBatch

PRECISION = "SHORTLIST_PRECISION"
"""Environment variable that sets the precision of serving and training."""

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}
"""The precisions that `SHORTLIST_PRECISION` names."""


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """Tokenizer of a hub name or local folder.

    Raises:
        FileNotFoundError: neither a folder nor reachable on the hub.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(name)
    except OSError as error:
        raise _not_found(name) from error
    return tokenizer


def load_bert(
    name: str, *, dropout: float = 0.0, layers: int | None = None, words: bool = True
) -> PreTrainedModel:
    """Pretrained encoder without its pooler, fp32, in evaluation mode.

    Args:
        name: Hub name or local folder of a BERT-like encoder.
        dropout: Chance of zeroing an activation in training.
        layers: Keep this many of the lowest layers; by default all.
        words: Whether it is to read word pieces; without them their embeddings, which are half of a
            small model, are left out, and it reads soft tokens alone.

    Raises:
        FileNotFoundError: neither a folder nor reachable on the hub.
        ValueError: it has fewer layers.
    """
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # transformers does not type it
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers does not type it
    try:
        model: PreTrainedModel = AutoModel.from_pretrained(
            name,
            add_pooling_layer=False,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            dtype=torch.float32,
        )
    except OSError as error:
        raise _not_found(name) from error
    fast_on_short_texts(model)
    if layers is not None:
        _keep_lowest(model, layers)
    if not words:
        model.set_input_embeddings(nn.Embedding(1, model.config.hidden_size, padding_idx=0))
        model.config.vocab_size = 1
    model.train(mode=False)
    return model


def _keep_lowest(bert: PreTrainedModel, layers: int) -> None:
    stack = layers_of(bert)
    if not 1 <= layers <= len(stack):
        raise ValueError(f"layers must be within 1 and {len(stack)}, got {layers}")
    del stack[layers:]
    bert.config.num_hidden_layers = layers


def empty_bert(folder: Path) -> PreTrainedModel:
    """The architecture that a folder's `config.json` describes, with weights still to be loaded."""
    config = AutoConfig.from_pretrained(folder)
    with no_init_weights():
        model: PreTrainedModel = AutoModel.from_config(  # type: ignore[no-untyped-call]  # as above
            config, add_pooling_layer=False
        )
    fast_on_short_texts(model)
    model.train(mode=False)
    return model


def freeze_below(bert: PreTrainedModel, trained_layers: int) -> None:
    """Train the top layers alone; with as many as the model has, the word embeddings too.

    Raises:
        ValueError: the model has fewer layers.
    """
    layers = layers_of(bert)
    if not 0 <= trained_layers <= len(layers):
        raise ValueError(f"trained_layers must be within 0 and {len(layers)}, got {trained_layers}")
    frozen = len(layers) - trained_layers
    if frozen:
        cast("nn.Module", bert.embeddings).requires_grad_(requires_grad=False)
    for layer in layers[:frozen]:
        layer.requires_grad_(requires_grad=False)


def states_below(bert: PreTrainedModel, batch: TokenBatch, *, trained_layers: int) -> torch.Tensor:
    """(texts, length, hidden): states under the top layers, which is all that those read."""
    stack = layers_of(bert)
    embeddings = cast("nn.Module", bert.embeddings)
    states = embeddings(input_ids=batch.ids, token_type_ids=batch.segments)
    return _through(stack[: len(stack) - trained_layers], states, batch.mask)


def through_top(
    bert: PreTrainedModel, states: torch.Tensor, mask: torch.Tensor, *, trained_layers: int
) -> torch.Tensor:
    """(texts, length, hidden): what the top layers make of `states_below`.

    Args:
        bert: The backbone, with or without adapters.
        states: (texts, length, hidden)
        mask: (texts, length) 1 for a token, 0 for padding.
        trained_layers: How many layers are the top.
    """
    stack = layers_of(bert)
    return _through(stack[len(stack) - trained_layers :], states, mask)


def _through(layers: nn.ModuleList, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    seen = mask.bool()[:, None, None, :]
    for layer in layers:
        states = layer(states, seen)
    return states


def layers_of(bert: PreTrainedModel) -> nn.ModuleList:
    """Its layers, lowest first, with or without adapters."""
    return cast("nn.ModuleList", cast("nn.Module", bert.encoder).layer)


def mean_over_tokens(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(texts, hidden): mean of the states (texts, length, hidden) where the mask is 1."""
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


def best_device() -> torch.device:
    """A CUDA GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def serving_dtype(device: torch.device) -> torch.dtype:
    """Precision that serves best on the device.

    The environment variable `SHORTLIST_PRECISION` sets it: `bf16`, `fp32`, or `auto`, the default,
    which takes bf16 where the hardware multiplies it natively and fp32 elsewhere.

    Raises:
        ValueError: the environment variable has another value.
    """
    precision = os.environ.get(PRECISION, "auto")
    if precision in DTYPES:
        return DTYPES[precision]
    if precision != "auto":
        raise ValueError(f"{PRECISION} must be auto, {' or '.join(DTYPES)}, got {precision!r}")
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    flags = torch.cpu.get_capabilities()
    return torch.bfloat16 if flags.get("avx512_bf16") or flags.get("amx_bf16") else torch.float32


def autocast(device: torch.device, dtype: torch.dtype | None = None) -> torch.autocast:
    """Matrix products in a precision, by default the one that serves best on the device."""
    dtype = dtype or serving_dtype(device)
    return torch.autocast(device.type, dtype, enabled=dtype is not torch.float32)


def _not_found(name: str) -> FileNotFoundError:
    return FileNotFoundError(
        f"backbone must be a local folder or a reachable hub name, got {name!r}; "
        "`make weights` fetches the default one"
    )
