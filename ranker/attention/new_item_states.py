"""Item states of the attention ranker: for the corpus, and for items added or edited later."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from backbone.encode_texts import encode_texts
from backbone.load import load_bert, load_tokenizer
from lineage.manifest import MismatchedArtifactError, read_manifest
from lineage.stages import BACKBONE, RANKER
from ranker.attention.inputs import AttentionInputs
from ranker.config import RankerConfig

RIDGE = 1.0
"""Ridge penalty of the regression from one embedding space to another, in items."""
FITTED_ON = 20_000
"""Most items that the regression is fitted on."""
LEAST_COSINE = 0.99
"""Least cosine between the stored and the recomputed state of the same text."""


def item_states(
    read: NDArray[np.float32], embeddings: NDArray[np.float32]
) -> Sequence[NDArray[np.float32]]:
    """Parts of the items' states: text states, and embeddings scaled to length √dimension.

    Args:
        read: (items, hidden) text states of unit length, from `backbone.encode_texts.encode_texts`.
        embeddings: (items, dimension) of unit length.
    """
    return read, embeddings * embeddings.shape[1] ** 0.5


@dataclass(frozen=True, kw_only=True)
class NewItemStates:
    """Computes states of items that were added or edited after the ranker was made.

    The ranker was trained on embeddings of the trial's towers, but a new item has an embedding of
    the serving towers. A linear map, fitted on the corpus, converts it into the trial's space.
    """

    bert: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    item_tokens: int
    """Most word pieces of a text, with special tokens"""
    into_trial: NDArray[np.float32]
    """(dimension, trial's dimension) linear map from serving embeddings to the trial's"""

    @classmethod
    def load(
        cls, folder: Path, inputs: AttentionInputs, embeddings: NDArray[np.float32], text: str
    ) -> "NewItemStates":
        """Load the backbone of a finished ranker stage and fit the map between the embeddings.

        A stage of format 8 has no backbone: it is loaded from where the ranker found it.

        Args:
            folder: Folder of the stage.
            inputs: The ranker's states of the corpus.
            embeddings: (items, dimension) embeddings of the corpus by the serving towers.
            text: Text of the first item; it checks that the backbone is unchanged.

        Raises:
            FileNotFoundError: a stage of format 8 has no backbone, and the backbone is gone.
            MismatchedArtifactError: such a backbone differs from the one that made the ranker.
        """
        config = read_manifest(folder, RANKER).config
        own = folder / BACKBONE
        name = str(own) if own.is_dir() else config.get("backbone", RankerConfig.backbone)
        try:
            bert = load_bert(name)
        except ValueError as error:
            raise MismatchedArtifactError(f"{error}; make the ranker again and publish") from error
        hidden = bert.config.hidden_size
        rows = np.random.default_rng(0).permutation(len(embeddings))[:FITTED_ON].astype(np.int32)
        trial_embeddings = inputs.read(rows)[:, hidden:]
        made = cls(
            bert=bert,
            tokenizer=load_tokenizer(name),
            item_tokens=config.get("item_tokens", RankerConfig.item_tokens),
            into_trial=_ridge(np.asarray(embeddings[rows], np.float32), trial_embeddings),
        )
        stored = inputs.read(np.zeros(1, np.int32))[0, :hidden]
        if stored.shape != (hidden,) or stored @ made.read([text])[0] < LEAST_COSINE:
            raise MismatchedArtifactError(
                f"backbone must be the one that the ranker in {folder} was made with, got another "
                f"in {name!r}; restore it, or make the ranker again and publish"
            )
        return made

    def read(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(texts, hidden) text states of unit length."""
        return encode_texts(self.bert, texts, self.tokenizer, max_tokens=self.item_tokens)

    def __call__(
        self, texts: Sequence[str], embeddings: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(items, hidden + trial's dimension) states of new items.

        Args:
            texts: Texts of the items.
            embeddings: (items, dimension) embeddings by the serving towers.
        """
        return np.concatenate(item_states(self.read(texts), self._mapped(embeddings)), axis=1)

    def edited(
        self,
        texts: Sequence[str],
        embeddings: NDArray[np.float32],
        *,
        before: NDArray[np.float32],
        states: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """(items, hidden + trial's dimension) states of known items whose text changed.

        The embedding by the trial's towers moves as the mapped serving embedding does; the rest of
        it stays, which is what purchases taught the trial.

        Args:
            texts: New texts of the items.
            embeddings: (items, dimension) new embeddings by the serving towers.
            before: (items, dimension) embeddings of the corpus by the serving towers.
            states: (items, hidden + trial's dimension) states of the corpus.
        """
        trial = _unit(states[:, -self.into_trial.shape[1] :])
        moved = _unit(trial + self._mapped(embeddings) - self._mapped(before))
        return np.concatenate(item_states(self.read(texts), moved), axis=1)

    def _mapped(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """(items, trial's dimension) serving embeddings in the trial's space, of unit length."""
        return _unit(embeddings @ self.into_trial)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    result: NDArray[np.float32] = vectors / np.maximum(lengths, 1e-6)
    return result


def _ridge(inputs: NDArray[np.float32], outputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """(input dimension, output dimension) coefficients of a ridge regression, no intercept."""
    gram = inputs.T @ inputs + RIDGE * np.eye(inputs.shape[1], dtype=np.float32)
    solved: NDArray[np.float32] = np.linalg.solve(gram, inputs.T @ outputs).astype(np.float32)
    return solved
