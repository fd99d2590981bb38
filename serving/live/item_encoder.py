"""Reads items that a release was built without, as its towers and its ranker would have."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineage.manifest import MismatchedArtifactError
from lineage.stages import EMBEDDINGS
from ranker.attention.inputs import AttentionInputs
from ranker.attention.new_item_states import NewStates
from ranker.ranker import Ranker
from serving.catalogue.catalogue import Catalogue
from serving.catalogue.item_text import data_config, text_of
from shortlist_client.api.item import Item
from towers.item_encoder import TextsReader


class ItemReader:
    """Makes of items what is searched and what is ranked; loads its models when there is work.

    An item whose text is that of the release keeps what was learnt of it.
    """

    def __init__(self, root: Path, catalogue: Catalogue, ranker: Ranker) -> None:
        """Take the parts of a release.

        Args:
            root: Folder of the release.
            catalogue: Its items.
            ranker: Of the release.
        """
        self._root, self._catalogue, self._ranker = root, catalogue, ranker
        self._config = data_config(root)
        self._embeddings = np.load(root / "towers" / EMBEDDINGS, mmap_mode="r")

    @property
    def state_bytes(self) -> int:
        """Of what the ranker keeps of an item; 0 where it keeps nothing."""
        inputs = self._ranker.inputs
        return inputs.states.shape[1] if isinstance(inputs, AttentionInputs) else 0

    def __call__(self, items: Sequence[Item]) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
        """Read items, at least one.

        Returns:
            Embeddings (items, dimension) of unit length, and states (items, bytes), as kept.

        Raises:
            ArtifactError: the ranker cannot rank items that are new to it, or its backbone is
                another one now.
            FileNotFoundError: the backbone of the ranker is gone.
        """
        inputs = self._ranker.inputs
        if not isinstance(inputs, AttentionInputs):
            raise MismatchedArtifactError(
                f"kind of the ranker in {self._root} must be 'attention' to rank items that it was "
                "made without; set it in configs/ranker.yaml and publish again"
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
            unread = [texts[place] for place in new.tolist()]
            vectors[new] = self._towers(unread)
            states[new] = inputs.kept(self._new_states(unread, vectors[new]), unread)
        return vectors, states

    @cached_property
    def _towers(self) -> TextsReader:
        return TextsReader.load(self._root / "towers")

    @cached_property
    def _new_states(self) -> NewStates:
        inputs = self._ranker.inputs
        assert isinstance(inputs, AttentionInputs)
        folder = self._root / "ranker"
        return NewStates.load(folder, inputs, self._embeddings, self._catalogue.text(0))
