"""Loads a pretrained backbone and its tokenizer from a local folder or a revision on the hub."""

import logging
import re
from functools import cache
from pathlib import Path
from typing import Any

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
from backbone.kinds import (
    SPLIT,
    is_causal,
    keep_layers,
    model_options,
    set_dropout,
    without_words,
)

logger = logging.getLogger(__name__)
CHECKOUT = Path(__file__).parents[1]
HUB_NAME = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*(/[\w.-]+)?)@(?P<revision>[0-9a-f]{40})")
"""A name on the hub and the commit of its revision."""


def source_of(name: str) -> tuple[str, dict[str, Any]]:
    """Folder or hub name of a backbone, and the options that make it always the same bytes.

    A local folder is read without the network. A relative one is looked for in the working
    directory, then in the checkout. On the hub, a branch or a tag may move to other weights, so
    only a commit is accepted.

    Returns:
        The first argument of `from_pretrained`, and its keyword arguments.

    Raises:
        FileNotFoundError: the name looks like a folder, but is none.
        ValueError: the name is that of the hub, but without a commit.
    """
    for folder in (name, str(CHECKOUT / name)):
        if Path(folder).is_dir():
            return folder, {"local_files_only": True}
    if found := HUB_NAME.fullmatch(name):
        return found["name"], {"revision": found["revision"]}
    if name.startswith((".", "/", "~")):
        raise _not_found(name)
    raise ValueError(
        "backbone must be a local folder, or a hub name with the commit of its revision, "
        f"`name@` and 40 hexadecimal digits, got {name!r}"
    )


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """Tokenizer of a hub name with its revision, or of a local folder.

    Raises:
        FileNotFoundError: the name is neither a local folder nor reachable on the hub.
        ValueError: the name is that of the hub, but without a commit.
    """
    place, options = source_of(name)
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(place, **options)
    except OSError as error:
        raise _not_found(name) from error
    return tokenizer


def load_bert(
    name: str, *, dropout: float = 0.0, layers: int | None = None, words: bool = True
) -> PreTrainedModel:
    """Pretrained encoder or decoder without its pooler, fp32, in evaluation mode.

    Args:
        name: Local folder of a backbone, or hub name with its revision.
        dropout: Probability of zeroing an activation in training.
        layers: Number of lowest layers to keep; by default all.
        words: Whether to keep the word embeddings, which are half of a small model. Without them
            the backbone takes soft tokens only.

    Raises:
        FileNotFoundError: the name is neither a local folder nor reachable on the hub.
        ValueError: the backbone has fewer layers, is an encoder with a decoder, or the hub name has
            no commit.
    """
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # transformers does not type it
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers does not type it
    place, options = source_of(name)
    try:
        config = AutoConfig.from_pretrained(place, **options)
        if getattr(config, "is_encoder_decoder", False):
            raise ValueError(
                f"backbone must be an encoder or a decoder, got {name!r}, which is both "
                f"({config.model_type})"
            )
        set_dropout(config, dropout)
        model: PreTrainedModel = AutoModel.from_pretrained(
            place, **options, **model_options(config), config=config, dtype=torch.float32
        )
    except OSError as error:
        raise _not_found(name) from error
    _copy_from_file(model)
    _prepare(model)
    _say_what_is_slower(name, model.config.model_type, fast=_takes_fast_attention(model))
    if layers is not None:
        keep_layers(model, range(layers))
    if not words:
        without_words(model)
    model.train(mode=False)
    return model


def _prepare(model: PreTrainedModel) -> None:
    """Choose the fastest attention that the kind has, and make a text independent of its batch."""
    if _takes_fast_attention(model):
        fast_on_short_texts(model)
    if is_causal(model):
        model.config.use_cache = False
    words = model.get_input_embeddings()
    if model.config.model_type == "mobilebert" and isinstance(words, nn.Embedding):
        # It reads each word's neighbours: padding must be like the end of a text.
        words.weight.data[words.padding_idx] = 0.0


def _takes_fast_attention(model: PreTrainedModel) -> bool:
    return bool(getattr(model, "_supports_attention_backend", False)) and not is_causal(model)


@cache
def _say_what_is_slower(name: str, kind: str, *, fast: bool) -> None:
    """Log once which fast paths a backbone does not have."""
    lacking = [] if fast else ["attention for short texts"]
    if kind not in SPLIT:
        lacking.append("the cache of frozen layers")
    if lacking:
        logger.info("backbone %s (%s) runs without %s", name, kind, " and ".join(lacking))


def _copy_from_file(model: nn.Module) -> None:
    """Copy the weights into memory: they are mapped, and a change of the file would change them."""
    for values in (*model.parameters(), *model.buffers()):
        values.data = values.data.clone()


def empty_bert(folder: Path) -> PreTrainedModel:
    """A model of the architecture in a folder's `config.json`, with uninitialised weights."""
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    with no_init_weights():
        model: PreTrainedModel = AutoModel.from_config(  # type: ignore[no-untyped-call]  # as above
            config, **model_options(config)
        )
    _prepare(model)
    model.train(mode=False)
    return model


def save_backbone(folder: Path, bert: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write a backbone and its tokenizer, as `load_bert` and `load_tokenizer` read them."""
    bert.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _not_found(name: str) -> FileNotFoundError:
    return FileNotFoundError(
        f"backbone must be a local folder or a reachable `name@commit` of the hub, got {name!r} "
        f"in {Path.cwd()}; `make weights` fetches the default one"
    )
