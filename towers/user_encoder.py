"""Encodes histories and searches with a trained user tower."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerBase

from backbone.batch import pad
from backbone.load import empty_bert, load_tokenizer
from backbone.packing import pack, padded_width
from backbone.tokens import SpecialTokens, TokenTable, item_input, tokenize
from dataset.append_only import ExtendedArray
from lineage.arrays import read_array
from lineage.stages import EMBEDDINGS
from towers.artifact import ITEM, OPTIONS, USER, WEIGHTS, load_item_tower, ready_to_serve
from towers.history_tower import HistoryTower
from towers.inputs import TextInputs
from towers.item_tower import ItemTower
from towers.titles_tower import TitlesTower


@dataclass(frozen=True, kw_only=True)
class ItemHistoryEncoder:
    """Encodes histories as items and searches as words."""

    tower: HistoryTower
    embeddings: NDArray[np.float32] | ExtendedArray[np.float32]
    """(items, dimension) item embeddings"""
    length: int
    """Number of newest items that are encoded"""
    item_tower: ItemTower
    """Embeds searches"""
    tokenizer: PreTrainedTokenizerBase
    search_tokens: int
    """Most word pieces of a search, including the special tokens"""

    @classmethod
    def load(
        cls, folder: Path, dimension: int, length: int, search_tokens: int, actions: int
    ) -> "ItemHistoryEncoder":
        """Load from a finished towers stage."""
        part = folder / USER
        tower = HistoryTower(empty_bert(part), dimension=dimension, actions=actions)
        return cls(
            tower=ready_to_serve(tower, load_file(part / WEIGHTS)),
            embeddings=read_array(folder / EMBEDDINGS),
            length=length,
            item_tower=load_item_tower(folder),
            tokenizer=load_tokenizer(str(folder / ITEM)),
            search_tokens=search_tokens,
        )

    def __call__(
        self,
        histories: Sequence[NDArray[np.int32]],
        interaction_codes: Sequence[NDArray[np.int32]],
        searches: Sequence[str],
    ) -> torch.Tensor:
        """Embed shoppers by their newest items and their searches, as (shoppers, dimension).

        Raises:
            ValueError: a shopper has neither a history nor a search.
        """
        newest = [history[-self.length :] for history in histories]
        item_codes = [codes[-self.length :] for codes in interaction_codes]
        lengths = np.array([len(items) for items in newest])
        searching = np.array([bool(search) for search in searches])
        starts, size = np.cumsum(lengths) - lengths, int(lengths.sum())
        words = size + np.cumsum(searching)  # `size` itself is the filler
        sequences = [
            np.append(np.arange(start, start + length), words[place : place + searched])
            for place, (start, length, searched) in enumerate(
                zip(starts.tolist(), lengths.tolist(), searching.tolist(), strict=True)
            )
        ]
        codes = [
            np.pad(own, (0, searched))
            for own, searched in zip(item_codes, searching.astype(int), strict=True)
        ]
        widths = lengths + searching
        device = self.tower.out.weight.device
        width = padded_width(int(widths.max(initial=0)), self.length + 1)
        packed = pack(sequences, codes, width=width, filler=size).to(device)
        last = packed.starts + torch.from_numpy(widths - 1).to(device)
        items = torch.from_numpy(self.embeddings[np.concatenate(newest)]).to(device)
        return self.tower(items, packed, last, self._searches(searches))  # type: ignore[no-any-return]

    def _searches(self, searches: Sequence[str]) -> torch.Tensor:
        """(searches, dimension): embeddings of the searches that are not empty."""
        special = SpecialTokens.of(self.tokenizer)
        budget = self.search_tokens - 2
        pieces = tokenize([s for s in searches if s], self.tokenizer, max_tokens=budget)
        inputs = [item_input(pieces[row], special) for row in range(len(pieces))]
        batch = pad(inputs, special.pad).to(self.item_tower.projection.weight.device)
        return self.item_tower.embed_words(batch)


@dataclass(frozen=True, kw_only=True)
class TitleHistoryEncoder:
    """Encodes histories and searches as the word pieces of titles."""

    tower: TitlesTower
    inputs: TextInputs
    tokenizer: PreTrainedTokenizerBase

    @classmethod
    def load(cls, folder: Path, dimension: int, history_tokens: int) -> "TitleHistoryEncoder":
        """Load from a finished towers stage."""
        part = folder / USER
        titles = TokenTable.load(part, "titles")
        tokenizer = load_tokenizer(str(part))
        inputs = TextInputs(
            texts=titles,
            titles=titles,
            special=SpecialTokens.of(tokenizer),
            title_special=SpecialTokens.of(tokenizer),
            history_tokens=history_tokens,
        )
        tower = TitlesTower(empty_bert(part), dimension)
        return cls(
            tower=ready_to_serve(tower, load_file(part / WEIGHTS)),
            inputs=inputs,
            tokenizer=tokenizer,
        )

    def __call__(
        self,
        histories: Sequence[NDArray[np.int32]],
        interaction_codes: Sequence[NDArray[np.int32]],  # noqa: ARG002  # not encoded in titles
        searches: Sequence[str],
    ) -> torch.Tensor:
        """Embed shoppers by their newest titles, as (shoppers, dimension); a search comes first."""
        pairs = zip(histories, searches, strict=True)
        batch = pad([self._input(*pair) for pair in pairs], self.inputs.special.pad)
        return self.tower(batch.to(self.tower.projection.weight.device))  # type: ignore[no-any-return]

    def _input(self, history: NDArray[np.int32], search: str) -> NDArray[np.int32]:
        titles = self.inputs.history(history)
        if not search:
            return titles
        pieces = tokenize([search], self.tokenizer, max_tokens=self.inputs.history_tokens - 2)
        searched = item_input(pieces[0], self.inputs.special)
        after = len(self.inputs.special.start)
        return np.concatenate([searched, titles[after:]])[: self.inputs.history_tokens]


@dataclass(frozen=True, kw_only=True)
class UserTower:
    """Embeds shoppers.

    bf16 sums depend on the batch, so the last bits of an embedding may differ between batches.
    """

    reader: ItemHistoryEncoder | TitleHistoryEncoder

    @classmethod
    def load(cls, folder: Path) -> "UserTower":
        """Load from a finished towers stage."""
        options = json.loads((folder / USER / OPTIONS).read_text())
        if options.pop("reads") == "items":
            return cls(reader=ItemHistoryEncoder.load(folder, **options))
        return cls(reader=TitleHistoryEncoder.load(folder, **options))

    @property
    def max_history(self) -> int:
        """Most items of a history that are encoded; 0 for titles, which have no padded widths."""
        return self.reader.length if isinstance(self.reader, ItemHistoryEncoder) else 0

    def __call__(
        self,
        history: NDArray[np.int32],
        interaction_codes: NDArray[np.int32] | None = None,
        search: str = "",
    ) -> NDArray[np.float32]:
        """Embed a shopper.

        Args:
            history: Item rows, oldest first; may be empty if there is a search.
            interaction_codes: Interaction codes (`dataset.interaction_codes`); None if unknown.
            search: Words that the shopper searches for; may be empty.

        Returns:
            (dimension,) of unit length.
        """
        known = None if interaction_codes is None else [interaction_codes]
        vector: NDArray[np.float32] = self.embed_all([history], known, [search])[0]
        return vector

    def embed_all(
        self,
        histories: Sequence[NDArray[np.int32]],
        interaction_codes: Sequence[NDArray[np.int32]] | None = None,
        searches: Sequence[str] | None = None,
    ) -> NDArray[np.float32]:
        """Embed a batch of shoppers.

        Args:
            histories: Item rows of each, oldest first; may be empty if there is a search.
            interaction_codes: Of each history (`dataset.interaction_codes`); None if unknown.
            searches: Search words of each shopper, "" for none; None if no shopper searches.

        Returns:
            (shoppers, dimension) of unit length.
        """
        known = (
            [np.zeros_like(items) for items in histories]
            if interaction_codes is None
            else interaction_codes
        )
        with torch.inference_mode():
            embeddings = self.reader(histories, known, searches or [""] * len(histories))
        vectors: NDArray[np.float32] = embeddings.cpu().numpy()
        return vectors
