"""A peer without training: the pretrained backbone recalls items like the history or a search."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from backbone.encode_texts import encode_texts
from backbone.load import load_bert, load_tokenizer
from dataset.arrays import Dataset
from dataset.cases import Cases
from evaluation.search import exact_search
from towers.config import TowersConfig

TITLES = 10
"""Most items of a history that are read, the newest."""
SEARCH_PIECES = 62
"""Most word pieces of a search."""


@dataclass(frozen=True, kw_only=True)
class Untrained:
    """A pretrained backbone and its embeddings of a corpus."""

    bert: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    texts: Tensor
    """(items, hidden) embeddings of the items' texts, of unit length"""

    @classmethod
    def read(cls, data: Dataset, config: TowersConfig, *, cache_below: Path) -> "Untrained":
        """Encode a corpus; texts that were encoded before come from the cache.

        Args:
            data: The corpus.
            config: Names the backbone and the most word pieces of a text.
            cache_below: Folder of the cache.
        """
        tokenizer, bert = load_tokenizer(config.backbone), load_bert(config.backbone)
        texts = encode_texts(
            bert,
            data.texts,
            tokenizer,
            max_tokens=config.item_tokens,
            description="corpus",
            cache_below=cache_below,
        )
        return cls(bert=bert, tokenizer=tokenizer, texts=torch.from_numpy(texts))

    def like_titles(self, cases: Cases, k: int) -> NDArray[np.int32]:
        """(cases, k) item rows nearest to the mean of the last items' texts, without history."""
        users = [self.texts[history[-TITLES:].tolist()].mean(dim=0) for history in cases.histories]
        return self._nearest(torch.stack(users), cases, k)

    def like_searches(self, searches: Sequence[str], cases: Cases, k: int) -> NDArray[np.int32]:
        """(cases, k) item rows nearest to each case's search, without history."""
        embeddings = encode_texts(
            self.bert,
            searches,
            self.tokenizer,
            max_tokens=SEARCH_PIECES + 2,
            description="searches",
        )
        return self._nearest(torch.from_numpy(embeddings), cases, k)

    def _nearest(self, users: Tensor, cases: Cases, k: int) -> NDArray[np.int32]:
        unit = functional.normalize(users, dim=-1).cpu().numpy()
        return exact_search(unit, self.texts.cpu().numpy(), k, exclude=cases.excluded)[1]
