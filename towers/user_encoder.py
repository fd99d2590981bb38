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
from dataset.append_only import Extended
from lineage.stages import EMBEDDINGS
from towers.artifact import OPTIONS, USER, WEIGHTS, _ready, load_item_tower
from towers.history_tower import HistoryTower
from towers.inputs import TextInputs
from towers.item_tower import ItemTower
from towers.model import TitlesTower


@dataclass(frozen=True, kw_only=True)
class ItemsReader:
    """Embeds a history of items."""

    tower: HistoryTower
    embeddings: NDArray[np.float32] | Extended[np.float32]
    """(items, dimension)"""
    length: int
    """Newest items that are read"""
    item_tower: ItemTower
    """Embeds searches"""
    tokenizer: PreTrainedTokenizerBase
    search_tokens: int
    """Word pieces of a search at most, with those that frame it"""

    @classmethod
    def load(
        cls, folder: Path, dimension: int, length: int, search_tokens: int, actions: int
    ) -> "ItemsReader":
        """Load from a finished towers stage."""
        part = folder / USER
        tower = HistoryTower(empty_bert(part), dimension=dimension, actions=actions)
        return cls(
            tower=_ready(tower, load_file(part / WEIGHTS)),
            embeddings=np.load(folder / EMBEDDINGS, mmap_mode="r"),
            length=length,
            item_tower=load_item_tower(folder),
            tokenizer=load_tokenizer(str(part)),
            search_tokens=search_tokens,
        )

    def __call__(
        self,
        histories: Sequence[NDArray[np.int32]],
        contexts: Sequence[NDArray[np.int32]],
        searches: Sequence[str],
    ) -> torch.Tensor:
        """Embed the newest items and the search of every shopper, as (shoppers, dimension).

        Raises:
            ValueError: somebody has neither.
        """
        newest = [history[-self.length :] for history in histories]
        known = [codes[-self.length :] for codes in contexts]
        lengths = np.array([len(items) for items in newest])
        asked = np.array([bool(search) for search in searches])
        starts, size = np.cumsum(lengths) - lengths, int(lengths.sum())
        words = size + np.cumsum(asked)  # `size` itself is the filler
        read = [
            np.append(np.arange(start, start + length), words[place : place + searched])
            for place, (start, length, searched) in enumerate(
                zip(starts.tolist(), lengths.tolist(), asked.tolist(), strict=True)
            )
        ]
        codes = [np.pad(some, (0, one)) for some, one in zip(known, asked.astype(int), strict=True)]
        widths = lengths + asked
        device = self.tower.out.weight.device
        width = padded_width(int(widths.max(initial=0)), self.length + 1)
        packed = pack(read, codes, width=width, filler=size).to(device)
        last = packed.starts + torch.from_numpy(widths - 1).to(device)
        items = torch.from_numpy(self.embeddings[np.concatenate(newest)]).to(device)
        return self.tower(items, packed, last, self._searches(searches))  # type: ignore[no-any-return]

    def _searches(self, searches: Sequence[str]) -> torch.Tensor:
        """(searches, dimension) embeddings of those that are not empty."""
        special = SpecialTokens.of(self.tokenizer)
        budget = self.search_tokens - 2
        pieces = tokenize([s for s in searches if s], self.tokenizer, max_tokens=budget)
        read = [item_input(pieces[row], special) for row in range(len(pieces))]
        batch = pad(read, special.pad).to(self.item_tower.projection.weight.device)
        return self.item_tower.embed_words(batch)


@dataclass(frozen=True, kw_only=True)
class TitlesReader:
    """Embeds a history of titles."""

    tower: TitlesTower
    inputs: TextInputs
    tokenizer: PreTrainedTokenizerBase

    @classmethod
    def load(cls, folder: Path, dimension: int, history_tokens: int) -> "TitlesReader":
        """Load from a finished towers stage."""
        part = folder / USER
        titles = TokenTable.load(part, "titles")
        tokenizer = load_tokenizer(str(part))
        inputs = TextInputs(
            texts=titles,
            titles=titles,
            special=SpecialTokens.of(tokenizer),
            history_tokens=history_tokens,
        )
        tower = TitlesTower(empty_bert(part), dimension)
        return cls(
            tower=_ready(tower, load_file(part / WEIGHTS)), inputs=inputs, tokenizer=tokenizer
        )

    def __call__(
        self,
        histories: Sequence[NDArray[np.int32]],
        contexts: Sequence[NDArray[np.int32]],  # noqa: ARG002  # titles say nothing of them
        searches: Sequence[str],
    ) -> torch.Tensor:
        """Embed searches, as if they were the newest titles, and the newest titles before them."""
        pairs = zip(histories, searches, strict=True)
        batch = pad([self._read(*pair) for pair in pairs], self.inputs.special.pad)
        return self.tower(batch.to(self.tower.projection.weight.device))  # type: ignore[no-any-return]

    def _read(self, history: NDArray[np.int32], search: str) -> NDArray[np.int32]:
        read = self.inputs.history(history)
        if not search:
            return read
        pieces = tokenize([search], self.tokenizer, max_tokens=self.inputs.history_tokens - 2)
        asked = item_input(pieces[0], self.inputs.special)
        return np.concatenate([asked, read[1:]])[: self.inputs.history_tokens]


@dataclass(frozen=True, kw_only=True)
class UserTower:
    """Embeds shoppers.

    Sums in bf16 depend on what lies beside them, so of one who is embedded among others the last
    bits may differ.
    """

    reader: ItemsReader | TitlesReader

    @classmethod
    def load(cls, folder: Path) -> "UserTower":
        """Load from a finished towers stage."""
        options = json.loads((folder / USER / OPTIONS).read_text())
        if options.pop("reads") == "items":
            return cls(reader=ItemsReader.load(folder, **options))
        return cls(reader=TitlesReader.load(folder, **options))

    @property
    def longest(self) -> int:
        """Items of a history that are read at most, filled up to few widths; 0 for titles."""
        return self.reader.length if isinstance(self.reader, ItemsReader) else 0

    def __call__(
        self,
        history: NDArray[np.int32],
        contexts: NDArray[np.int32] | None = None,
        search: str = "",
    ) -> NDArray[np.float32]:
        """Embed a shopper.

        Args:
            history: Item rows, oldest first; may be empty where there is a search.
            contexts: Interaction codes (`dataset.interaction_codes`); None where unknown.
            search: What the shopper is looking for, in words.

        Returns:
            (dimension,) of unit length.
        """
        known = None if contexts is None else [contexts]
        vector: NDArray[np.float32] = self.embed_all([history], known, [search])[0]
        return vector

    def embed_all(
        self,
        histories: Sequence[NDArray[np.int32]],
        contexts: Sequence[NDArray[np.int32]] | None = None,
        searches: Sequence[str] | None = None,
    ) -> NDArray[np.float32]:
        """Embed some shoppers at once.

        Args:
            histories: Item rows of each, oldest first; may be empty where there is a search.
            contexts: Interaction codes (`dataset.interaction_codes`); None where unknown.
            searches: What each is looking for, in words, empty where nothing; None for nobody.

        Returns:
            (shoppers, dimension) of unit length.
        """
        known = [np.zeros_like(items) for items in histories] if contexts is None else contexts
        with torch.inference_mode():
            embeddings = self.reader(histories, known, searches or [""] * len(histories))
        vectors: NDArray[np.float32] = embeddings.cpu().numpy()
        return vectors
