"""Loads a pretrained BERT and its tokenizer by hub name or from a local folder."""

from pathlib import Path

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
from backbone.layers import layers_of


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """Tokenizer of a hub name or local folder.

    Raises:
        FileNotFoundError: the name is neither a local folder nor reachable on the hub.
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
        dropout: Probability of zeroing an activation in training.
        layers: Number of lowest layers to keep; by default all.
        words: Whether to keep the word embeddings, which are half of a small model. Without them
            the encoder takes soft tokens only.

    Raises:
        FileNotFoundError: the name is neither a local folder nor reachable on the hub.
        ValueError: the encoder has fewer layers.
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
        raise ValueError(f"layers must be in [1, {len(stack)}], got {layers}")
    del stack[layers:]
    bert.config.num_hidden_layers = layers


def empty_bert(folder: Path) -> PreTrainedModel:
    """A model of the architecture in a folder's `config.json`, with uninitialised weights."""
    config = AutoConfig.from_pretrained(folder)
    with no_init_weights():
        model: PreTrainedModel = AutoModel.from_config(  # type: ignore[no-untyped-call]  # as above
            config, add_pooling_layer=False
        )
    fast_on_short_texts(model)
    model.train(mode=False)
    return model


def _not_found(name: str) -> FileNotFoundError:
    return FileNotFoundError(
        f"backbone must be a local folder or a reachable hub name, got {name!r}; "
        "`make weights` fetches the default one"
    )
