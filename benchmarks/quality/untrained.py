"""The backbone as it comes, without any training: what is like the last titles, or a search."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from backbone.encode_texts import read_texts
from backbone.load import load_bert, load_tokenizer
from dataset.arrays import Cases, Dataset
from evaluation.search import exact_search
from towers.config import TowersConfig

TITLES = 10
"""Last titles of a history that are read."""
SEARCH_PIECES = 62
"""Word pieces of a search that are read at most."""


@dataclass(frozen=True, kw_only=True)
class Untrained:
    """A pretrained backbone that has read a corpus."""

    bert: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    texts: Tensor
    """(items, hidden) of unit length"""

    @classmethod
    def read(cls, data: Dataset, config: TowersConfig, *, kept_below: Path) -> "Untrained":
        """Read a corpus, or look up what was read of it.

        Args:
            data: Items.
            config: Names the backbone and how much of a text is read.
            kept_below: Folder where what the backbone reads is kept.
        """
        tokenizer, bert = load_tokenizer(config.backbone), load_bert(config.backbone)
        texts = read_texts(
            bert,
            data.texts,
            tokenizer,
            max_tokens=config.item_tokens,
            description="corpus",
            kept_below=kept_below,
        )
        return cls(bert=bert, tokenizer=tokenizer, texts=torch.from_numpy(texts))

    def like_titles(self, cases: Cases, k: int) -> NDArray[np.int32]:
        """(cases, k) what is nearest to the mean of the last titles, history left out."""
        users = [self.texts[history[-TITLES:].tolist()].mean(dim=0) for history in cases.histories]
        return self._nearest(torch.stack(users), cases, k)

    def like_searches(self, searches: Sequence[str], cases: Cases, k: int) -> NDArray[np.int32]:
        """(cases, k) what is nearest to what each of the cases searches for, history left out."""
        read = read_texts(
            self.bert,
            searches,
            self.tokenizer,
            max_tokens=SEARCH_PIECES + 2,
            description="searches",
        )
        return self._nearest(torch.from_numpy(read), cases, k)

    def _nearest(self, users: Tensor, cases: Cases, k: int) -> NDArray[np.int32]:
        unit = functional.normalize(users, dim=-1).cpu().numpy()
        return exact_search(unit, self.texts.cpu().numpy(), k, exclude=cases.histories)[1]
