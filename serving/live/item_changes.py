"""Applies item changes to the engine of a release."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lineage.stages import DATA, RANKER, TOWERS
from serving.catalogue.change_log import Change
from serving.catalogue.item_text import data_config, text_of
from serving.catalogue.live_items import LiveItems
from serving.engine.cascade import Cascade
from serving.engine.engine import Engine
from serving.live.compaction import needed_ids
from serving.live.item_encoder import ItemEncoder
from shortlist_client.api.item import Item

logger = logging.getLogger(__name__)
ENCODING_STAGES = (DATA, TOWERS, RANKER)
"""Stages whose models encode items"""


@dataclass(frozen=True)
class LiveState:
    """Items and engine after some changes; immutable."""

    items: LiveItems
    engine: Engine

    def known(self, item_id: str) -> Item | None:
        """The current form of an item; None if it is unknown or deleted."""
        known = self.engine.cascade.catalogue.find(item_id)
        return None if known is None else known.item


class ItemChanges:
    """Encodes and applies changes with the models of one release. Keeps no state of the items."""

    def __init__(self, base: Engine, root: Path) -> None:
        """Take the engine of the release in folder `root`."""
        self._base, self._root, self._config = base, root, data_config(root)
        self._encode = ItemEncoder(
            root, base.cascade.catalogue, base.cascade.ranker, base.cascade.retriever.texts
        )
        self.encoded_by = " ".join(base.versions[stage] for stage in ENCODING_STAGES)
        """Fingerprints of the models, as changes record them"""

    def load_models(self) -> None:
        """Load the models that encode items now, so that the release's files are read no more.

        Raises:
            ArtifactError: the backbone is not the one that the ranker was made with.
        """
        self._encode.load()

    def unchanged(self) -> LiveState:
        """The release without changes."""
        items = LiveItems.of(
            self._base.cascade.retriever.sources.index.base,
            self._base.cascade.attributes,
            self._encode.state_bytes,
            self._base.cascade.retriever.sources.lexical,
        )
        return LiveState(items, self._base)

    def recounted(self, cascade: Cascade, state: LiveState) -> LiveState:
        """The same items with other counts of purchases, in this and every later state.

        Args:
            cascade: The release without changes, with the counts.
            state: The newest state.
        """
        unchanged = state.engine is self._base
        self._base = replace(self._base, cascade=cascade)
        if unchanged:
            return LiveState(state.items, self._base)
        updated = replace(self._base, cascade=cascade.with_updates(state.items))
        return LiveState(state.items, updated)

    def upserts(self, items: Sequence[Item], state: LiveState) -> list[Change]:
        """Encoded changes that upsert items, at least one; without their time.

        Raises:
            ArtifactError: the release's models cannot encode new items.
        """
        vectors, states = self._encode(items)
        state.items.index.check(vectors)
        return [
            Change(
                item_id=item.item_id,
                when=0.0,
                item=item,
                vector=vector,
                state=row,
                encoded_by=self.encoded_by,
            )
            for item, vector, row in zip(items, vectors, states, strict=True)
        ]

    def replayed(self, changes: Mapping[str, Change], known: LiveState) -> LiveState:
        """The release with exactly the changes that it does not contain.

        Args:
            changes: The last change of every changed item, oldest first.
            known: An earlier state, whose encoded items are used again.
        """
        needed = needed_ids(changes, self._root)
        chosen = {item_id: change for item_id, change in changes.items() if item_id in needed}
        return self.applied(chosen, self.unchanged(), known=known)

    def applied(
        self, changes: Mapping[str, Change], state: LiveState, *, known: LiveState | None = None
    ) -> LiveState:
        """A state with more changes.

        Args:
            changes: The new changes, by item id.
            state: State before the changes; no other changes may have been applied to it.
            known: State whose encoded items are used again; by default `state`.
        """
        if not changes:
            return state
        own = self._reencoded(self.in_own_form(changes, known or state))
        upserts = [change for change in own.values() if change.item is not None]
        catalogue = state.engine.cascade.catalogue
        rows = [catalogue.row(item_id) for item_id in own]
        origins = [self._base.cascade.catalogue.base_row(change.item_id) for change in upserts]
        vectors = np.empty((len(upserts), state.items.index.dimension), np.float32)
        states = np.empty((len(upserts), self._encode.state_bytes), np.int8)
        for place, change in enumerate(upserts):
            assert change.state is not None  # an upsert has one
            vectors[place], states[place] = change.vector, change.state
        items = [change.item for change in upserts if change.item is not None]
        changed = state.items.changed(
            items,
            vectors,
            states,
            texts=[text_of(item, self._config) for item in items],
            origins=np.array([-1 if row is None else row for row in origins], np.int64),
            hidden=np.array([row for row in rows if row is not None], np.int64),
        )
        updated = replace(self._base, cascade=self._base.cascade.with_updates(changed))
        return LiveState(changed, updated)

    def in_own_form(self, changes: Mapping[str, Change], known: LiveState) -> dict[str, Change]:
        """The changes; those from other models as this release has already encoded them."""
        return {
            item_id: self._known_form(change, known.items)
            if change.item is not None and change.encoded_by != self.encoded_by
            else change
            for item_id, change in changes.items()
        }

    def _known_form(self, change: Change, known: LiveItems) -> Change:
        row = known.row(change.item_id)
        if row is None or known.item(row) != change.item:
            return change
        return replace(
            change,
            vector=known.index.vectors(np.array([row]))[0],
            state=known.states[np.array([row - known.index.built])][0],
            encoded_by=self.encoded_by,
        )

    def _reencoded(self, changes: Mapping[str, Change]) -> Mapping[str, Change]:
        """The changes with vectors from this release's models."""
        others = [
            change
            for change in changes.values()
            if change.item is not None and change.encoded_by != self.encoded_by
        ]
        if not others:
            return changes
        logger.info("encoding %d changed items with the models of this release", len(others))
        vectors, states = self._encode([change.item for change in others if change.item])
        return {
            **changes,
            **{
                change.item_id: replace(
                    change, vector=vector, state=state, encoded_by=self.encoded_by
                )
                for change, vector, state in zip(others, vectors, states, strict=True)
            },
        }
