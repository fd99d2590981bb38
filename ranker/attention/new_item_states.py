"""What the fast ranker knows of an item before it meets a shopper."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from backbone.encode_texts import read_texts
from backbone.load import load_bert, load_tokenizer
from lineage.manifest import MismatchedArtifactError, read_manifest
from ranker.attention.inputs import AttentionInputs
from ranker.config import RankerConfig

RIDGE = 1.0
"""Penalty of the regression from one space of embeddings to another, in items."""
FITTED_ON = 20_000
ALIKE = 0.99
"""Least cosine of a text's state as it was stored and as it is read now."""


def item_states(
    read: NDArray[np.float32], embeddings: NDArray[np.float32]
) -> Sequence[NDArray[np.float32]]:
    """What is known of items, columns beside columns: texts, and embeddings of length √dimension.

    Args:
        read: (items, hidden) of unit length, as of `backbone.encode_texts.read_texts`.
        embeddings: (items, dimension) of unit length.
    """
    return read, embeddings * embeddings.shape[1] ** 0.5


@dataclass(frozen=True, kw_only=True)
class NewStates:
    """Makes states of items that the ranker was made without.

    The ranker knows the trial's embeddings, and a new item has one of the towers that serve. The
    items that both know tell how one space lies in the other.
    """

    bert: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    item_tokens: int
    """Word pieces of a text at most, with those that frame it"""
    into_trial: NDArray[np.float32]
    """(dimension, dimension of the trial): from one space to the other"""

    @classmethod
    def load(
        cls, folder: Path, inputs: AttentionInputs, embeddings: NDArray[np.float32], text: str
    ) -> "NewStates":
        """Load the backbone of a finished ranker stage and look where its items lie.

        Args:
            folder: Of the stage.
            inputs: What the ranker reads of the corpus.
            embeddings: (items, dimension) of the corpus, by the towers that serve.
            text: Of the first item.

        Raises:
            FileNotFoundError: the backbone is gone.
            MismatchedArtifactError: it is another one than the ranker was made with.
        """
        config = read_manifest(folder, "ranker").config
        name = config.get("backbone", RankerConfig.backbone)
        bert = load_bert(name)
        hidden = bert.config.hidden_size
        rows = np.random.default_rng(0).permutation(len(embeddings))[:FITTED_ON].astype(np.int32)
        learnt = inputs.read(rows)[:, hidden:]
        made = cls(
            bert=bert,
            tokenizer=load_tokenizer(name),
            item_tokens=config.get("item_tokens", RankerConfig.item_tokens),
            into_trial=_regression(np.asarray(embeddings[rows], np.float32), learnt),
        )
        stored = inputs.read(np.zeros(1, np.int32))[0, :hidden]
        if stored.shape != (hidden,) or stored @ made.read([text])[0] < ALIKE:
            raise MismatchedArtifactError(
                f"backbone must be the one that the ranker in {folder} was made with, got another "
                f"in {name!r}; bring it back, or publish again after making the ranker anew"
            )
        return made

    def read(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(texts, hidden) as of `backbone.encode_texts.read_texts`."""
        return read_texts(self.bert, texts, self.tokenizer, max_tokens=self.item_tokens)

    def __call__(
        self, texts: Sequence[str], embeddings: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(items, hidden + dimension of the trial): states of new items.

        Args:
            texts: Of the items.
            embeddings: (items, dimension) by the towers that serve.
        """
        there = embeddings @ self.into_trial
        there /= np.maximum(np.linalg.norm(there, axis=1, keepdims=True), 1e-6)
        return np.concatenate(item_states(self.read(texts), there), axis=1)


def _regression(given: NDArray[np.float32], wanted: NDArray[np.float32]) -> NDArray[np.float32]:
    """(given, wanted): ridge regression without an intercept."""
    gram = given.T @ given + RIDGE * np.eye(given.shape[1], dtype=np.float32)
    solved: NDArray[np.float32] = np.linalg.solve(gram, given.T @ wanted).astype(np.float32)
    return solved
