"""Encodes items that are new to the corpus from their text alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from backbone.batch import TokenBatch
from backbone.load import load_tokenizer
from backbone.tokens import SpecialTokens, item_input, tokenize
from lineage.manifest import read_manifest
from lineage.stages import TOWERS
from towers.artifact import ITEM, load_item_tower
from towers.config import TowersConfig
from towers.encode import encode
from towers.item_tower import ItemTower
from towers.model import support
from towers.user_encoder import TitleHistoryEncoder, UserTower

SHORTEST = 1e-6
"""Lower bound on the length of a vector; avoids division by zero"""


@dataclass(frozen=True, kw_only=True)
class TextEncoder:
    """Encodes raw texts with the item tower."""

    tower: ItemTower
    tokenizer: PreTrainedTokenizerBase
    item_tokens: int
    """Most word pieces of a text, including the special tokens"""
    shrinkage: float | None = None
    """Purchases at which the residual of an item has half of its weight; None without residuals"""

    @classmethod
    def load(cls, folder: Path) -> "TextEncoder":
        """Load from a finished towers stage."""
        return cls(
            tower=load_item_tower(folder),
            tokenizer=load_tokenizer(str(folder / ITEM)),
            item_tokens=_item_tokens(folder),
            shrinkage=_shrinkage(folder),
        )

    @classmethod
    def beside(cls, folder: Path, user_tower: UserTower) -> "TextEncoder":
        """Like `load`, but shares the item tower that a user tower uses for searches, if any.

        Encoding changes nothing of a tower, so several threads may use it at once.
        """
        reader = user_tower.reader
        if isinstance(reader, TitleHistoryEncoder):
            return cls.load(folder)
        return cls(
            tower=reader.item_tower,
            tokenizer=reader.tokenizer,
            item_tokens=_item_tokens(folder),
            shrinkage=_shrinkage(folder),
        )

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(texts, dimension) of unit length: embeddings of new items with these texts."""
        return self._encoded(self.tower.embed_words, texts)

    def unnormalised(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(texts, dimension): the texts' share of item embeddings, before normalisation."""
        return self._encoded(self.tower.unnormalised_words, texts)

    def edited(
        self,
        texts: Sequence[str],
        *,
        before: Sequence[str],
        embeddings: NDArray[np.float32],
        lengths: NDArray[np.float32],
        purchases: NDArray[np.floating],
    ) -> NDArray[np.float32]:
        """Embeddings of known items whose text changed: what purchases taught of them stays.

        An item's embedding is the normalised sum of its text and its residual. The residual is what
        training found to be missing from the text. Of another text, another part would be missing:
        with n purchases, training makes up for n / (n + `shrinkage`) of the difference. Only the
        rest of it moves the item.

        Args:
            texts: New text of each item.
            before: Text of each item when its embedding was learnt.
            embeddings: (items, dimension) learnt embeddings, of unit length.
            lengths: (items,) lengths of the sums.
            purchases: (items,) purchases that the towers learnt from.

        Returns:
            (items, dimension) of unit length.
        """
        encoded = self.unnormalised([*texts, *before])
        difference = encoded[: len(texts)] - encoded[len(texts) :]
        return unit(lengths[:, None] * embeddings + self.untaught(purchases)[:, None] * difference)

    def untaught(self, purchases: NDArray[np.floating]) -> NDArray[np.float32]:
        """(items,) share of a change of text that moves an item, 1 without purchases."""
        if self.shrinkage is None:
            return np.ones(len(purchases), np.float32)
        learnt = torch.from_numpy(np.asarray(purchases, np.float64))
        share: NDArray[np.float32] = 1 - support(learnt, self.shrinkage).numpy()
        return share

    def _encoded(
        self, read: Callable[[TokenBatch], Tensor], texts: Sequence[str]
    ) -> NDArray[np.float32]:
        special = SpecialTokens.of(self.tokenizer)
        pieces = tokenize(texts, self.tokenizer, max_tokens=self.item_tokens - 2)
        device = self.tower.projection.weight.device
        with torch.inference_mode():
            embeddings = encode(
                read,
                [item_input(pieces[row], special) for row in range(len(pieces))],
                pad_id=special.pad,
                device=device,
                description="new items",
            )
        vectors: NDArray[np.float32] = embeddings.cpu().numpy()
        return vectors


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """(vectors, dimension) of unit length."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    result: NDArray[np.float32] = vectors / np.maximum(lengths, SHORTEST)
    return result


def _shrinkage(folder: Path) -> float | None:
    config = read_manifest(folder, TOWERS).config
    return config["residual_shrinkage"] if config["residual"] else None


def _item_tokens(folder: Path) -> int:
    config = read_manifest(folder, TOWERS).config
    tokens: int = config.get("item_tokens", TowersConfig.item_tokens)
    return tokens
