"""Encodes new and changed items for the index and the ranker of a release."""

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineage.arrays import read_array
from lineage.manifest import MismatchedArtifactError
from lineage.stages import BACKBONE, EMBEDDINGS, RANKER, TOWERS
from ranker.attention.inputs import AttentionInputs
from ranker.attention.new_item_states import NewItemStates
from ranker.ranker import Ranker
from serving.catalogue.catalogue import Catalogue
from serving.catalogue.item_text import data_config, text_of
from shortlist_client.api.item import Item
from towers.item_encoder import TextEncoder

logger = logging.getLogger(__name__)


class ItemEncoder:
    """Computes embeddings and ranker states of items; loads its models by `load` or on first use.

    An item with the same text as in the release keeps its learnt embedding and state.
    """

    def __init__(
        self, root: Path, catalogue: Catalogue, ranker: Ranker, towers: TextEncoder
    ) -> None:
        """Keep the parts of a release.

        Args:
            root: Folder of the release.
            catalogue: Catalogue of the release.
            ranker: Ranker of the release.
            towers: Encodes texts with the release's item tower; other threads may use it too.
        """
        self._towers = towers
        self._root, self._catalogue, self._ranker = root, catalogue, ranker
        self._config = data_config(root)
        self._embeddings = read_array(root / TOWERS / EMBEDDINGS)

    def load(self) -> None:
        """Load the models now, so that the release's files are read no more.

        Raises:
            ArtifactError: the backbone is not the one that the ranker was made with.
        """
        if not isinstance(self._ranker.inputs, AttentionInputs):
            return
        try:
            _ = self._new_states
        except (FileNotFoundError, MismatchedArtifactError) as error:
            if (self._root / RANKER / BACKBONE).is_dir():
                raise
            logger.warning(
                "items with new texts are refused, because this release is older and lacks its "
                "backbone: %s",
                error,
            )

    @property
    def state_bytes(self) -> int:
        """Size of the ranker's stored state of an item, bytes; 0 if it stores none."""
        inputs = self._ranker.inputs
        return inputs.states.shape[1] if isinstance(inputs, AttentionInputs) else 0

    def __call__(self, items: Sequence[Item]) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
        """Encode items, at least one.

        Returns:
            Embeddings (items, dimension) of unit length, and quantised states (items, bytes).

        Raises:
            ArtifactError: the ranker cannot rank items that are new to it, or its backbone has
                changed.
            FileNotFoundError: the backbone of the ranker is missing.
        """
        inputs = self._ranker.inputs
        if not isinstance(inputs, AttentionInputs):
            raise MismatchedArtifactError(
                f"kind of the ranker in {self._root} must be 'attention' to rank items that were "
                "not in its training; set it in configs/ranker.yaml and publish again"
            )
        texts = [text_of(item, self._config) for item in items]
        learnt = [
            self._catalogue.learnt_row(item.item_id, text)
            for item, text in zip(items, texts, strict=True)
        ]
        same = np.array([-1 if row is None else row for row in learnt])
        vectors = np.empty((len(items), self._embeddings.shape[1]), np.float32)
        states = np.empty((len(items), self.state_bytes), np.int8)
        known, new = np.flatnonzero(same >= 0), np.flatnonzero(same < 0)
        vectors[known] = self._embeddings[same[known]]
        states[known] = inputs.states[same[known]]
        if len(new):
            new_texts = [texts[place] for place in new.tolist()]
            vectors[new] = self._towers(new_texts)
            states[new] = inputs.quantised(self._new_states(new_texts, vectors[new]), new_texts)
        return vectors, states

    @cached_property
    def _new_states(self) -> NewItemStates:
        inputs = self._ranker.inputs
        assert isinstance(inputs, AttentionInputs)
        folder = self._root / RANKER
        return NewItemStates.load(folder, inputs, self._embeddings, self._catalogue.text(0))
