"""Reads many texts in batches of similar length under a token budget, with a progress bar."""

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
from backbone.device import best_device, serving_dtype
from backbone.layers import mean_over_tokens, states_below
from backbone.text_cache import KeptTexts, keys_of
from backbone.tokens import SpecialTokens, item_input, token_budget_batches, tokenize

TOKEN_BUDGET = 4_096
"""Padded tokens a batch: activations of that many stay in the cache of a CPU."""

SHOWN = 1_000
"""Texts from which on there is a progress bar."""

KEPT_AT_ONCE = 8_192
"""Texts that are read at least before they are kept."""


def in_batches(
    read: Callable[[NDArray[np.int64]], Tensor], lengths: NDArray[np.int64], description: str
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Rows of similar length under a token budget, and what is read of them.

    Args:
        read: What makes (texts, …) of (texts,) rows.
        lengths: (texts,) tokens of each text.
        description: Label of the progress bar.
    """
    few = len(lengths) < SHOWN
    with tqdm(total=len(lengths), desc=description, unit="text", leave=False, disable=few) as bar:
        for rows in token_budget_batches(lengths, TOKEN_BUDGET):
            with torch.no_grad():
                states = read(rows)
            yield rows, states
            bar.update(len(rows))


def in_order(batches: Iterable[tuple[NDArray[np.int64], Tensor]]) -> Tensor:
    """(texts, size): batches put back into the order of their rows."""
    order, vectors = zip(*batches, strict=True)
    place = torch.from_numpy(np.argsort(np.concatenate(order))).to(vectors[0].device)
    return torch.cat(vectors)[place]


def read_texts(
    bert: PreTrainedModel,
    texts: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_tokens: int,
    description: str = "texts",
    kept_below: Path | None = None,
) -> NDArray[np.float32]:
    """What a backbone makes of texts: the mean of each one's states, of unit length.

    Args:
        bert: What reads; goes to the device, and takes the precision, that serve best.
        texts: Equal ones are read once.
        tokenizer: Of the backbone.
        max_tokens: Word pieces of a text at most, with those that frame it.
        description: Label of the progress bar.
        kept_below: Folder where what is read is kept, and looked up before it is read again.

    Returns:
        (texts, hidden)
    """
    device = best_device()
    bert.to(device, serving_dtype(device))  # type: ignore[arg-type]  # transformers wraps `to`
    bert.train(mode=False)
    keys, first, place = np.unique(keys_of(texts), return_index=True, return_inverse=True)
    means = np.empty((len(keys), bert.config.hidden_size), np.float32)
    unread, kept = np.arange(len(keys)), None
    if kept_below is not None:
        kept = KeptTexts.of(kept_below, bert, tokenizer, max_tokens=max_tokens)
        known, found = kept.look_up(keys)
        if known.any():
            means[known], unread = found, np.flatnonzero(~known)
    if len(unread):
        missing = [texts[row] for row in first[unread].tolist()]
        batches = _means(bert, missing, tokenizer, max_tokens=max_tokens, description=description)
        for rows, read in _in_blocks(batches, KEPT_AT_ONCE):
            means[unread[rows]] = read
            if kept is not None:
                kept.add(keys[unread[rows]], read)
    return means[place]


def _means(
    bert: PreTrainedModel,
    texts: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_tokens: int,
    description: str,
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    device, special = best_device(), SpecialTokens.of(tokenizer)
    pieces = tokenize(texts, tokenizer, max_tokens=max_tokens - 2)
    sequences = [item_input(pieces[row], special) for row in range(len(pieces))]

    def read(rows: NDArray[np.int64]) -> Tensor:
        batch = pad([sequences[row] for row in rows], special.pad).to(device)
        states = states_below(bert, batch, trained_layers=0)
        return functional.normalize(mean_over_tokens(states, batch.mask).float(), dim=-1)

    lengths = np.array([len(sequence) for sequence in sequences])
    return in_batches(read, lengths, description)


def _in_blocks(
    batches: Iterable[tuple[NDArray[np.int64], Tensor]], size: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Rows and what was read of them, at least so many at once but for the last."""
    rows: list[NDArray[np.int64]] = []
    read: list[NDArray[np.float32]] = []
    for some, states in batches:
        rows.append(some)
        read.append(states.cpu().numpy())
        if sum(map(len, rows)) >= size:
            yield np.concatenate(rows), np.concatenate(read)
            rows, read = [], []
    if rows:
        yield np.concatenate(rows), np.concatenate(read)
