"""Encodes many texts in batches of similar length under a token budget, with a progress bar."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from backbone.batch import pad
from backbone.device import best_device, in_precision
from backbone.kinds import pooling_of
from backbone.layers import states_of
from backbone.text_cache import TextCache, keys_of
from backbone.tokens import SpecialTokens, item_input, token_budget_batches, tokenize

TOKEN_BUDGET = 4_096
"""Padded tokens per batch; activations of this many fit into a CPU's cache."""

SHOWN = 1_000
"""Smallest number of texts for which a progress bar is shown."""

CACHED_AT_ONCE = 8_192
"""Least number of encoded texts that are written to the cache at once."""


def in_batches(
    read: Callable[[NDArray[np.int64]], Tensor], lengths: NDArray[np.int64], description: str
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Encode rows in batches of similar length under a token budget.

    Args:
        read: Encodes (texts,) rows, returns (texts, …).
        lengths: (texts,) number of tokens of each text.
        description: Label of the progress bar.

    Yields:
        (texts,) rows of a batch, and their (texts, …) results.
    """
    few = len(lengths) < SHOWN
    with tqdm(total=len(lengths), desc=description, unit="text", leave=False, disable=few) as bar:
        for rows in token_budget_batches(lengths, TOKEN_BUDGET):
            with torch.no_grad():
                states = read(rows)
            yield rows, states
            bar.update(len(rows))


def in_order(batches: Iterable[tuple[NDArray[np.int64], Tensor]]) -> Tensor:
    """(texts, size): results of all batches, concatenated in the order of rows."""
    order, vectors = zip(*batches, strict=True)
    place = torch.from_numpy(np.argsort(np.concatenate(order))).to(vectors[0].device)
    return torch.cat(vectors)[place]


def encode_texts(
    bert: PreTrainedModel,
    texts: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_tokens: int,
    description: str = "texts",
    cache_below: Path | None = None,
) -> NDArray[np.float32]:
    """Encode texts with a backbone: each text's states pooled as its kind asks, of unit length.

    Args:
        bert: Backbone; moved to the best device, in its serving precision.
        texts: Texts; equal texts are encoded once.
        tokenizer: Tokenizer of the backbone.
        max_tokens: Most word pieces of a text, including the special tokens.
        description: Label of the progress bar.
        cache_below: Folder of the cache that is read and written; None uses no cache.

    Returns:
        (texts, hidden) float32, unit length.
    """
    in_precision(bert, best_device())
    bert.train(mode=False)
    keys, first, place = np.unique(keys_of(texts), return_index=True, return_inverse=True)
    means = np.empty((len(keys), bert.config.hidden_size), np.float32)
    unread, cache = np.arange(len(keys)), None
    if cache_below is not None:
        cache = TextCache.of(cache_below, bert, tokenizer, max_tokens=max_tokens)
        known, found = cache.look_up(keys)
        if known.any():
            means[known], unread = found, np.flatnonzero(~known)
    if len(unread):
        missing = [texts[row] for row in first[unread].tolist()]
        batches = _means(bert, missing, tokenizer, max_tokens=max_tokens, description=description)
        for rows, read in _in_blocks(batches, CACHED_AT_ONCE):
            means[unread[rows]] = read
            if cache is not None:
                cache.add(keys[unread[rows]], read)
    return means[place]


def _means(
    bert: PreTrainedModel,
    texts: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_tokens: int,
    description: str,
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    device, special, pooled = best_device(), SpecialTokens.of(tokenizer), pooling_of(bert)
    pieces = tokenize(texts, tokenizer, max_tokens=max_tokens - 2)
    sequences = [item_input(pieces[row], special) for row in range(len(pieces))]

    def read(rows: NDArray[np.int64]) -> Tensor:
        batch = pad([sequences[row] for row in rows], special.pad).to(device)
        return functional.normalize(pooled(states_of(bert, batch), batch.mask).float(), dim=-1)

    lengths = np.array([len(sequence) for sequence in sequences])
    return in_batches(read, lengths, description)


def _in_blocks(
    batches: Iterable[tuple[NDArray[np.int64], Tensor]], size: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Rows and their results in blocks of at least `size`, except the last."""
    rows: list[NDArray[np.int64]] = []
    results: list[NDArray[np.float32]] = []
    for batch, states in batches:
        rows.append(batch)
        results.append(states.cpu().numpy())
        if sum(map(len, rows)) >= size:
            yield np.concatenate(rows), np.concatenate(results)
            rows, results = [], []
    if rows:
        yield np.concatenate(rows), np.concatenate(results)
