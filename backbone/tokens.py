"""Word pieces of many texts, and the inputs of backbones that are built from them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from lineage.arrays import read_array

Ids = NDArray[np.int32]
TEXTS_AT_ONCE = 10_000


class TokenTable:
    """Word pieces of many texts, without special tokens; row i belongs to text i."""

    def __init__(self, ids: Ids, offsets: NDArray[np.int64]) -> None:
        self.ids, self.offsets = ids, offsets

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> Ids:
        return self.ids[self.offsets[row] : self.offsets[row + 1]]

    def save(self, folder: Path, name: str) -> None:
        """Write `<name>.ids.npy` and `<name>.offsets.npy`."""
        np.save(folder / f"{name}.ids.npy", self.ids)
        np.save(folder / f"{name}.offsets.npy", self.offsets)

    @classmethod
    def load(cls, folder: Path, name: str) -> "TokenTable":
        """Memory-map the table that `save` wrote."""
        return cls(
            read_array(folder / f"{name}.ids.npy"),
            read_array(folder / f"{name}.offsets.npy"),
        )


@dataclass(frozen=True, kw_only=True)
class SpecialTokens:
    """Ids of the special tokens of an input."""

    cls: int | None
    """Begins an input; None for decoders, which have none"""
    sep: int
    """Ends every text; decoders are read at this token"""
    pad: int

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> "SpecialTokens":
        """The special tokens of a tokenizer; a decoder's end of text is its separator and padding.

        Raises:
            ValueError: the tokenizer has neither a separator nor an end of text.
        """
        end = tokenizer.eos_token_id if tokenizer.sep_token_id is None else tokenizer.sep_token_id
        if not isinstance(end, int):
            raise ValueError(
                "tokenizer must have a separator or an end of text, got special tokens "
                f"{tokenizer.special_tokens_map}"
            )
        pad = end if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        return cls(cls=tokenizer.cls_token_id, sep=end, pad=int(pad))

    @property
    def start(self) -> list[int]:
        """What begins an input: [CLS], or nothing."""
        return [] if self.cls is None else [self.cls]


def tokenize(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, *, max_tokens: int
) -> TokenTable:
    """Split texts into word pieces, each cut to `max_tokens`."""
    rows: list[list[int]] = []
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        encoded = tokenizer(
            list(texts[start : start + TEXTS_AT_ONCE]),
            add_special_tokens=False,
            truncation=True,
            max_length=max_tokens,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
        rows += encoded["input_ids"]
    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    return TokenTable(np.array([i for row in rows for i in row], dtype=np.int32), offsets)


def item_input(tokens: Ids, special: SpecialTokens) -> Ids:
    """[CLS] text [SEP]; a decoder has no [CLS]."""
    return np.concatenate([special.start, tokens, [special.sep]]).astype(np.int32)


def history_input(
    titles: TokenTable, history: Sequence[int] | Ids, special: SpecialTokens, *, max_tokens: int
) -> Ids:
    """[CLS] newest title [SEP] the one before [SEP] …, with as many whole titles as fit.

    Args:
        titles: Word pieces of every item's title.
        history: Item rows, oldest first.
        special: Special tokens.
        max_tokens: Most tokens of the result; the newest title is cut to fit.
    """
    parts, length = [np.array(special.start, np.int32)], 1
    for row in reversed(history):
        title = titles[int(row)][: max_tokens - 2]
        if length + len(title) + 1 > max_tokens:
            break
        parts += [title, np.array([special.sep], np.int32)]
        length += len(title) + 1
    return np.concatenate(parts)


def token_budget_batches(lengths: NDArray[np.int64], budget: int) -> Iterator[NDArray[np.int64]]:
    """Batches of rows of similar length, longest first, each with rows × longest ≤ budget."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, int(lengths[order[start]])))
        yield order[start : start + size]
        start += size
