"""Encodes new and changed items for the index and the ranker of a release."""

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineage.arrays import read_array
from lineage.manifest import MismatchedArtifactError
from lineage.stages import BACKBONE, EMBEDDINGS, LENGTHS, RANKER, TOWERS
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

    An item with the same text as in the release keeps its learnt embedding and state. One with
    another text keeps what purchases taught of it, see `TextEncoder.edited`.
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
        self._lengths = read_array(root / TOWERS / LENGTHS)

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
        texts = [text_of(item, self._config) for item in items]
        bases = [self._catalogue.base_row(item.item_id) for item in items]
        return self.of_texts(texts, np.array([-1 if row is None else row for row in bases]))

    def of_texts(
        self, texts: Sequence[str], known: NDArray[np.integer]
    ) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
        """Encode items with these texts.

        Args:
            texts: At least one.
            known: (items,) rows of the items in the release, -1 for those that it does not know.

        Returns:
            As the encoder's call.

        Raises:
            ArtifactError, FileNotFoundError: as the encoder's call.
        """
        inputs = self._ranker.inputs
        if not isinstance(inputs, AttentionInputs):
            raise MismatchedArtifactError(
                f"kind of the ranker in {self._root} must be 'attention' to rank items that were "
                "not in its training; set it in configs/ranker.yaml and publish again"
            )
        vectors = np.empty((len(texts), self._embeddings.shape[1]), np.float32)
        states = np.empty((len(texts), self.state_bytes), np.int8)
        rows = known.astype(np.int32)
        same = np.array(
            [
                row >= 0 and self._catalogue.text(row) == text
                for row, text in zip(rows.tolist(), texts, strict=True)
            ],
            bool,
        )
        vectors[same] = self._embeddings[rows[same]]
        states[same] = inputs.states[rows[same]]
        for places, encode in (
            (np.flatnonzero(~same & (rows < 0)), self._new),
            (np.flatnonzero(~same & (rows >= 0)), self._edited),
        ):
            if len(places):
                changed = [texts[place] for place in places.tolist()]
                vectors[places], read = encode(changed, rows[places])
                states[places] = inputs.quantised(read, changed)
        return vectors, states

    def _new(
        self, texts: Sequence[str], rows: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Embeddings and states of items that the release does not know."""
        del rows
        vectors = self._towers(texts)
        return vectors, self._new_states(texts, vectors)

    def _edited(
        self, texts: Sequence[str], rows: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Embeddings and states of items of the release whose text changed, by their rows."""
        inputs, known = self._ranker.inputs, np.asarray(self._embeddings[rows], np.float32)
        assert isinstance(inputs, AttentionInputs)
        vectors = self._towers.edited(
            texts,
            before=[self._catalogue.text(row) for row in rows.tolist()],
            embeddings=known,
            lengths=np.asarray(self._lengths[rows], np.float32),
            purchases=self._catalogue.data.popularity[rows],
        )
        return vectors, self._new_states.edited(
            texts, vectors, before=known, states=inputs.read(rows)
        )

    @cached_property
    def _new_states(self) -> NewItemStates:
        inputs = self._ranker.inputs
        assert isinstance(inputs, AttentionInputs)
        folder = self._root / RANKER
        return NewItemStates.load(folder, inputs, self._embeddings, self._catalogue.text(0))
