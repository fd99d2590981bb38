"""Towers on disk, and the user tower as serving uses it; no Lightning here."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedTokenizerBase

from backbone.batch import pad
from backbone.load import best_device, empty_bert, load_tokenizer, serving_dtype
from backbone.packing import pack
from backbone.tokens import SpecialTokens, TokenTable, item_input, tokenize
from dataset.growing import Extended, Grown
from towers.config import TowersConfig
from towers.encode import embed_histories, encode
from towers.history_tower import HistoryTower
from towers.inputs import TextInputs
from towers.item_tower import ItemTower
from towers.model import TitlesTower

EMBEDDINGS = "item_embeddings.npy"
USER_EMBEDDINGS = "user_embeddings.npy"
"""Of some shoppers: what an index will be asked for"""
VALID_USERS = "valid_users.npy"
"""Of a trial: rows of the users whom decisions are made on; the embeddings are theirs"""
USER, ITEM, OPTIONS = "user_tower", "item_tower", "tower.json"
WEIGHTS = "tower.safetensors"
Tower = TypeVar("Tower", bound=nn.Module)


def save_user_tower(
    folder: Path,
    tower: HistoryTower | TitlesTower,
    inputs: TextInputs,
    tokenizer: PreTrainedTokenizerBase,
    config: TowersConfig,
) -> None:
    """Write the user tower (fp32) and what it reads below a stage's folder."""
    part = folder / USER
    _save(part, tower, tokenizer)
    options = {"reads": config.reads, "dimension": config.dimension}
    if isinstance(tower, HistoryTower):
        options |= {"length": config.history_length, "search_tokens": config.search_tokens}
        options["actions"] = tower.actions.num_embeddings - 1
    else:
        options["history_tokens"] = config.history_tokens
        inputs.titles.save(part, "titles")
    (part / OPTIONS).write_text(json.dumps(options))


def save_item_tower(folder: Path, tower: ItemTower, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write the item tower (fp32) without the items' residuals, which the embeddings hold."""
    _save(folder / ITEM, tower, tokenizer, without=("residual.weight",))


def load_item_tower(folder: Path) -> ItemTower:
    """Item tower for items that are new to the corpus, in the precision that serves best."""
    part = folder / ITEM
    weights = load_file(part / WEIGHTS)
    tower = ItemTower(
        empty_bert(part),
        dimension=len(weights["projection.bias"]),
    )
    return _ready(tower, weights)


def _save(
    folder: Path,
    tower: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    without: tuple[str, ...] = (),
) -> None:
    folder.mkdir(parents=True)
    tower.bert.config.save_pretrained(folder)  # type: ignore[operator,union-attr]
    tokenizer.save_pretrained(folder)
    weights = {k: v.contiguous() for k, v in tower.state_dict().items() if k not in without}
    save_file(weights, folder / WEIGHTS)


def _ready(tower: Tower, weights: dict[str, torch.Tensor]) -> Tower:
    tower.load_state_dict(weights)
    device = best_device()
    return tower.eval().requires_grad_(requires_grad=False).to(device, serving_dtype(device))


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
        self, history: NDArray[np.int32], contexts: NDArray[np.int32], search: str = ""
    ) -> torch.Tensor:
        """Embed the newest items and a search, as (1, dimension).

        Raises:
            ValueError: neither is given.
        """
        newest = history[-self.length :]
        known = contexts[-self.length :]
        device = self.tower.out.weight.device
        items = torch.from_numpy(self.embeddings[newest]).to(device)
        searches = self._searches(search)
        places = np.delete(np.arange(len(newest) + 1 + len(searches), dtype=np.int32), len(newest))
        packed = pack(
            [places],
            [np.concatenate([known, np.zeros(len(searches), np.int32)])],
            width=max(len(places), 1),
            filler=len(newest),
        )
        packed = packed.to(device)
        last = packed.starts + len(places) - 1
        return self.tower(items, packed, last, searches)  # type: ignore[no-any-return]

    def embed_all(
        self, histories: Sequence[NDArray[np.int32]], known: Sequence[NDArray[np.int32]]
    ) -> torch.Tensor:
        """(histories, dimension): many at once, none empty."""
        items = torch.from_numpy(np.array(self.embeddings)).to(self.tower.out.weight.device)
        return embed_histories(self.tower, items, histories, known, length=self.length)

    def _searches(self, search: str) -> torch.Tensor:
        """(1, dimension) embedding of a search, or (0, dimension) where there is none."""
        special = SpecialTokens.of(self.tokenizer)
        budget = self.search_tokens - 2
        pieces = tokenize([search] if search else [], self.tokenizer, max_tokens=budget)
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
        history: NDArray[np.int32],
        contexts: NDArray[np.int32],  # noqa: ARG002  # titles say nothing of them
        search: str = "",
    ) -> torch.Tensor:
        """Embed a search, as if it were the newest title, and the newest titles before it."""
        read = self.inputs.history(history)
        if search:
            pieces = tokenize([search], self.tokenizer, max_tokens=self.inputs.history_tokens - 2)
            asked = item_input(pieces[0], self.inputs.special)
            read = np.concatenate([asked, read[1:]])[: self.inputs.history_tokens]
        batch = pad([read], self.inputs.special.pad)
        return self.tower(batch.to(self.tower.projection.weight.device))  # type: ignore[no-any-return]

    def embed_all(
        self,
        histories: Sequence[NDArray[np.int32]],
        known: Sequence[NDArray[np.int32]],  # noqa: ARG002  # titles say nothing of them
    ) -> torch.Tensor:
        """(histories, dimension): many at once, none empty."""
        return encode(
            self.tower,
            [self.inputs.history(history) for history in histories],
            pad_id=self.inputs.special.pad,
            device=self.tower.projection.weight.device,
            description="histories",
        )


@dataclass(frozen=True, kw_only=True)
class UserTower:
    """Embeds one shopper at a time, so that an embedding never depends on who else asks."""

    reader: ItemsReader | TitlesReader

    @classmethod
    def load(cls, folder: Path) -> "UserTower":
        """Load from a finished towers stage."""
        options = json.loads((folder / USER / OPTIONS).read_text())
        if options.pop("reads") == "items":
            return cls(reader=ItemsReader.load(folder, **options))
        return cls(reader=TitlesReader.load(folder, **options))

    def over(self, added: Grown[np.float32]) -> "UserTower":
        """The same where items were added to the corpus; a tower that reads titles skips them.

        Args:
            added: (added items, dimension) their embeddings.
        """
        if isinstance(self.reader, TitlesReader):
            return self
        known = self.reader.embeddings
        base = known.base if isinstance(known, Extended) else known
        return UserTower(reader=replace(self.reader, embeddings=Extended(base=base, added=added)))

    def __call__(
        self,
        history: NDArray[np.int32],
        contexts: NDArray[np.int32] | None = None,
        search: str = "",
    ) -> NDArray[np.float32]:
        """Embed a shopper.

        Args:
            history: Item rows, oldest first; may be empty where there is a search.
            contexts: When and how, as codes of `dataset.context`; None where nothing is known.
            search: What the shopper is looking for, in words.

        Returns:
            (dimension,) of unit length.
        """
        known = np.zeros_like(history) if contexts is None else contexts
        with torch.inference_mode():
            embedding = self.reader(history, known, search)
        vector: NDArray[np.float32] = embedding[0].cpu().numpy()
        return vector

    def embed_all(
        self, histories: Sequence[NDArray[np.int32]], contexts: Sequence[NDArray[np.int32]]
    ) -> NDArray[np.float32]:
        """Embed many shoppers at once, for work that nobody waits for.

        Sums in bf16 depend on what lies beside them, so the last bits may differ from `__call__`'s.

        Args:
            histories: Item rows of each, oldest first, none empty.
            contexts: When and how, as codes of `dataset.context`.

        Returns:
            (shoppers, dimension) of unit length.
        """
        with torch.inference_mode():
            vectors: NDArray[np.float32] = self.reader.embed_all(histories, contexts).cpu().numpy()
        return vectors
