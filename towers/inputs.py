"""Inputs of the towers: word pieces of items and histories, and groups of equal titles."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from backbone.tokens import SpecialTokens, TokenTable, history_input, item_input, tokenize


@dataclass(frozen=True, kw_only=True)
class TextInputs:
    """Turns item rows and histories into word pieces."""

    texts: TokenTable
    """Word pieces of every item's rendered text."""
    titles: TokenTable
    """Word pieces of every item's title."""
    special: SpecialTokens
    """Special tokens of the items' texts."""
    title_special: SpecialTokens
    """Special tokens of the titles in a history, which another tokenizer may have split."""
    history_tokens: int
    """Most word pieces of a history's input."""
    unknown: float = 0.0
    """Share of the texts' word pieces that the tokenizer does not know."""
    tokenizer: PreTrainedTokenizerBase | None = None
    """Tokenizer of the items' texts, which also splits logged searches."""
    search_tokens: int = 16
    """Most word pieces of a search, including the special tokens."""

    def item(self, row: int) -> NDArray[np.int32]:
        """Word pieces of an item's text for the item tower."""
        return item_input(self.texts[row], self.special)

    def history(self, rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """Word pieces of a history's last titles, newest first, for a user tower over titles.

        Item rows beyond the titles are left out.
        """
        known = rows[rows < len(self.titles)]
        most = self.history_tokens
        return history_input(self.titles, known, self.title_special, max_tokens=most)

    def search(self, words: str) -> NDArray[np.int32]:
        """Word pieces of a logged search, for the item tower."""
        assert self.tokenizer is not None
        pieces = tokenize([words], self.tokenizer, max_tokens=self.search_tokens - 2)
        return item_input(pieces[0], self.special)

    def corpus(self) -> list[NDArray[np.int32]]:
        """Word pieces of every item's text for the item tower."""
        return [self.item(row) for row in range(len(self.texts))]


class Twins:
    """Groups of items whose titles have the same word pieces in any order, such as variants."""

    def __init__(self, titles: Iterable[NDArray[np.int32]]) -> None:
        """Group the items; title i belongs to item row i."""
        numbers: dict[bytes, int] = {}
        self._group = np.array(
            [numbers.setdefault(np.sort(title).tobytes(), len(numbers)) for title in titles]
        )
        self._members = np.argsort(self._group, kind="stable")
        self._starts = np.searchsorted(self._group[self._members], np.arange(len(numbers) + 1))

    def of(self, rows: NDArray[np.int32]) -> NDArray[np.int64]:
        """The rows and their twins, ascending and distinct."""
        groups = np.unique(self._group[rows])
        spans = [self._members[self._starts[g] : self._starts[g + 1]] for g in groups.tolist()]
        return np.sort(np.concatenate(spans))
