"""The engine of a release with every item change acknowledged since the release was built."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from lineage.journal import Journal, read_journal
from lineage.manifest import RECORD
from lineage.open_release import held_while_loading
from lineage.releases import release_folders
from lineage.stages import DATA, RANKER, TOWERS
from serving.api.errors import UnknownItemError
from serving.api.validation import check_id, check_item
from serving.catalogue.change_log import Change, changes_path, encoded, latest
from serving.catalogue.live_items import LiveItems, filter_values
from serving.engine.engine import Engine, EngineConfig
from serving.live.compaction import compact, needed_ids
from serving.live.item_encoder import ItemEncoder
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.item import Item, KnownItem
from shortlist_client.api.operations import Counts

logger = logging.getLogger(__name__)
ENCODING_STAGES = (DATA, TOWERS, RANKER)
"""Stages whose models encode items"""


class LiveEngine:
    """Changes the items of a release and gives the engine that answers with the changes.

    When `upsert` or `delete` returns, the change is on disk and in every later answer. Any thread
    may change items while others read; a reader sees all of a change or none of it. The first
    change locks the journal: no other process can change items until `close`.
    """

    def __init__(self, base: Engine, root: Path) -> None:
        """Replay the recorded changes on the engine of the release in folder `root`.

        Raises:
            ArtifactError: the journal is damaged or the release's models cannot encode its items.
        """
        self._base, self._root = base, root
        self._path = changes_path(root)
        self._encode = ItemEncoder(root, base.cascade.catalogue, base.cascade.ranker)
        self._encoded_by = " ".join(base.versions[stage] for stage in ENCODING_STAGES)
        self._writing = threading.Lock()
        self._journal: Journal | None = None
        self._reencoded: dict[str, Change] = {}
        self._successor: LiveEngine | None = None
        self._live: LiveItems
        self._engine: Engine
        self._replay(latest(read_journal(self._path)))

    @classmethod
    def load(cls, folder: Path, config: EngineConfig) -> "LiveEngine":
        """Load a release and the item changes since it was built.

        Args:
            folder: Folder of a published release, or of a dataset's stages.
            config: Configuration of the engine.

        Raises:
            ArtifactError: the release is incomplete, corrupt or mixed, or the journal is damaged.
        """
        with held_while_loading(folder):
            engine = cls(Engine.load(folder, config), folder)
            engine._encode.load()
        return engine

    @property
    def current(self) -> Engine:
        """Engine with the newest items; immutable."""
        return self._engine

    def find(self, item_id: str) -> KnownItem | None:
        """The current form of an item; None if it is unknown or deleted.

        Raises:
            InvalidRequestError: the id breaks a rule.
        """
        check_id("item_id", item_id, self._base.limits)
        return self._engine.cascade.catalogue.find(item_id)

    @property
    def counts(self) -> Counts:
        """Current numbers of items and changes, and the journal's size."""
        index = self._live.index
        added = index.visible_added()
        new = int((index.origins(added) == added).sum())
        return Counts(
            items=index.live,
            upserted=len(added),
            deleted=len(self._base.cascade.catalogue) - (index.live - new),
            journal_bytes=self._path.stat().st_size if self._path.exists() else 0,
        )

    def check(self, item: Item) -> None:
        """Refuse an item that breaks a rule.

        Raises:
            InvalidRequestError: names the field, the rule and the value.
        """
        check_item(item, self._base.limits)
        attributes = self._base.cascade.attributes
        try:
            attributes.item_values(filter_values(item, attributes))
        except ValueError as error:
            raise InvalidRequestError(f"attributes of {item.item_id!r}: {error}") from error

    def upsert(self, items: Sequence[Item]) -> None:
        """Add or replace items: all of them, or none.

        Raises:
            InvalidRequestError: an item breaks a rule, or an id comes twice.
            JournalError: another process holds the journal; the message names it.
            ArtifactError: the release's models cannot encode new items.
            OSError: the disk is full or refuses the write; nothing has changed.
        """
        if self._successor is not None:
            return self._successor.upsert(items)
        for item in items:
            self.check(item)
        _require_distinct([item.item_id for item in items])
        if not items:
            return None
        vectors, states = self._encode(items)
        self._live.index.check(vectors)
        now = time.time()
        changes = [
            Change(
                item_id=item.item_id,
                when=now,
                item=item,
                vector=vector,
                state=state,
                encoded_by=self._encoded_by,
            )
            for item, vector, state in zip(items, vectors, states, strict=True)
        ]
        with self._writing:
            if self._successor is None:
                self._become_writer().append(encoded(changes))
                return self._apply(changes)
        return self._successor.upsert(items)

    def delete(self, item_ids: Sequence[str]) -> None:
        """Delete items from every answer: all of them, or none.

        Raises:
            InvalidRequestError: an id breaks a rule, or one comes twice.
            UnknownItemError: an item is not in the catalogue; the message names it.
            JournalError: another process holds the journal; the message names it.
            OSError: the disk is full or refuses the write; nothing has changed.
        """
        for item_id in item_ids:
            check_id("item_id", item_id, self._base.limits)
        _require_distinct(item_ids)
        if not item_ids:
            return None
        now = time.time()
        changes = [Change(item_id=item_id, when=now, item=None) for item_id in item_ids]
        with self._writing:
            if self._successor is None:
                journal = self._become_writer()
                for item_id in item_ids:
                    if self._engine.cascade.catalogue.row(item_id) is None:
                        raise UnknownItemError(f"item_id must be in the catalogue, got {item_id!r}")
                journal.append(encoded(changes))
                return self._apply(changes)
        return self._successor.delete(item_ids)

    @contextmanager
    def hand_over(self, successor: "LiveEngine") -> Iterator[None]:
        """Replace this engine by that of another release inside `with`.

        The successor takes over the journal. When the block begins, the successor has all
        acknowledged changes. Changes wait while the block runs. After it, this engine forwards
        every change to the successor.

        Raises:
            ArtifactError: the successor cannot encode the changed items; this engine stays in use.
        """
        with self._writing:
            if self._journal is not None:
                successor._sync(self._journal)
                successor._journal = self._journal
            try:
                yield
            except BaseException:
                successor._journal = None
                raise
            self._journal, self._successor = None, successor

    def close(self) -> None:
        """Release the journal, so that another process can change items."""
        with self._writing:
            if self._journal is not None:
                self._journal.close()
            self._journal = None

    def _become_writer(self) -> Journal:
        """Lock the journal, and apply changes that another process has written meanwhile."""
        if self._journal is None:
            journal = Journal(self._path)
            try:
                self._sync(journal)
            except BaseException:
                journal.close()
                raise
            self._journal = journal
        return self._journal

    def _sync(self, journal: Journal) -> None:
        """Apply the changes of other processes, then compact the journal."""
        self._replay(latest(read_journal(journal.path)))
        published = (self._root / RECORD).is_file()
        retained = release_folders(self._root.parent) if published else []
        dropped = compact(journal, retained, reencoded=self._reencoded)
        logger.info("%s: %d changes dropped", journal.path, dropped)
        self._reencoded = {}

    def _replay(self, changes: Mapping[str, Change]) -> None:
        """Apply exactly the changes that the release does not contain."""
        self._reencoded = {
            item_id: change
            for item_id, change in self._reencoded.items()
            if item_id in changes and changes[item_id].when == change.when
        }
        needed = needed_ids(changes, self._root)
        chosen = {i: self._reencoded.get(i, change) for i, change in changes.items() if i in needed}
        chosen |= self._reencode(
            [c for c in chosen.values() if c.item is not None and c.encoded_by != self._encoded_by]
        )
        unchanged = LiveItems.of(
            self._base.cascade.retriever.sources.index.base,
            self._base.cascade.attributes,
            self._encode.state_bytes,
        )
        self._apply(list(chosen.values()), since=(unchanged, self._base))

    def _reencode(self, changes: Sequence[Change]) -> Mapping[str, Change]:
        """Changes with vectors from this release's models, by item id."""
        items = [change.item for change in changes if change.item is not None]
        if not items:
            return {}
        logger.info("encoding %d changed items with the models of this release", len(items))
        vectors, states = self._encode(items)
        for change, vector, state in zip(changes, vectors, states, strict=True):
            self._reencoded[change.item_id] = replace(
                change, vector=vector, state=state, encoded_by=self._encoded_by
            )
        return {change.item_id: self._reencoded[change.item_id] for change in changes}

    def _apply(
        self, changes: Sequence[Change], *, since: tuple[LiveItems, Engine] | None = None
    ) -> None:
        """Make later answers include some changes.

        Args:
            changes: The new changes, at most one for each item.
            since: Items and engine before the changes; by default the current ones.
        """
        live, engine = since or (self._live, self._engine)
        catalogue, upserts = engine.cascade.catalogue, [c for c in changes if c.item is not None]
        rows = [catalogue.row(change.item_id) for change in changes]
        origins = [self._base.cascade.catalogue.base_row(change.item_id) for change in upserts]
        dimension = live.index.dimension
        vectors = np.empty((len(upserts), dimension), np.float32)
        states = np.empty((len(upserts), self._encode.state_bytes), np.int8)
        for place, change in enumerate(upserts):
            assert change.state is not None  # an upsert has one
            vectors[place], states[place] = change.vector, change.state
        self._live = live.changed(
            [change.item for change in upserts if change.item is not None],
            vectors,
            states,
            origins=np.array([-1 if row is None else row for row in origins], np.int64),
            hidden=np.array([row for row in rows if row is not None], np.int64),
        )
        self._engine = (
            replace(self._base, cascade=self._base.cascade.with_updates(self._live))
            if changes
            else engine
        )


def _require_distinct(item_ids: Sequence[str]) -> None:
    seen: set[str] = set()
    for item_id in item_ids:
        if item_id in seen:
            raise InvalidRequestError(f"item_id must not come twice in one change, got {item_id!r}")
        seen.add(item_id)
