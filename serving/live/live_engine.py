"""The engine of a release with every item change acknowledged since the release was built."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from events.event_store import EventStore
from lineage.manifest import ArtifactError
from lineage.open_release import held_while_loading
from serving.api.errors import UnknownItemError
from serving.api.protocol import Recounted
from serving.api.validation import check_id, check_item
from serving.catalogue.change_log import Change, changes_path
from serving.catalogue.live_items import filter_values
from serving.catalogue.plain_item import plain_item
from serving.engine.engine import Engine, EngineConfig
from serving.live.event_counts import EventCounts
from serving.live.logged_items import LoggedItems
from serving.live.rules import changed_items, require_distinct
from serving.replication.follower import Follower
from serving.replication.journal_log import JournalLog
from serving.replication.protocol import ChangeLog, LogUnavailableError
from shortlist_client.api.errors import InvalidRequestError
from shortlist_client.api.item import Item, KnownItem
from shortlist_client.api.operations import Counts

logger = logging.getLogger(__name__)
ATTEMPTS = 50
"""Attempts at a change while other servers change items at the same time."""


class LiveEngine:
    """Changes the items of a release and gives the engine that answers with the changes.

    When `upsert` or `delete` returns, the change is in the log and in every later answer. Any
    thread may change items while others read; a reader sees all of a change or none of it. Changes
    of other servers on the same log are applied in the order of the log: before every own change,
    and continuously after `follow`.
    """

    def __init__(self, base: Engine, root: Path, log: ChangeLog | None = None) -> None:
        """Replay the recorded changes on the engine of the release in folder `root`.

        Args:
            base: Engine of the release.
            root: Folder of the release.
            log: Log of the item changes; by default the journal of the folder.

        Raises:
            ArtifactError: the log is damaged or out of reach, or the release's models cannot encode
                its items.
        """
        self._base = base
        self._items = LoggedItems(base, root, log or JournalLog(changes_path(root)))
        self._writing = threading.Lock()
        self._successor: LiveEngine | None = None
        self._follower: Follower | None = None
        self._counts: EventCounts | None = None

    @classmethod
    def load(cls, folder: Path, config: EngineConfig, log: ChangeLog | None = None) -> "LiveEngine":
        """Load a release and the item changes since it was built.

        Args:
            folder: Folder of a published release, or of a dataset's stages.
            config: Configuration of the engine.
            log: Log of the item changes; by default the journal of the folder.

        Raises:
            ArtifactError: the release is incomplete, corrupt or mixed, or the log is damaged or out
                of reach.
        """
        with held_while_loading(folder):
            engine = cls(Engine.load(folder, config), folder, log)
            engine._items.changes.load_models()
        return engine

    @property
    def current(self) -> Engine:
        """Engine with the newest items; immutable."""
        return self._items.state.engine

    @property
    def age_seconds(self) -> float | None:
        """Time since everything in the log was known, seconds; None if the log is not followed."""
        return None if self._follower is None else self._follower.age_seconds

    def find(self, item_id: str) -> KnownItem | None:
        """The current form of an item; None if it is unknown or deleted.

        Raises:
            InvalidRequestError: the id breaks a rule.
        """
        check_id("item_id", item_id, self._base.limits)
        return self.current.cascade.catalogue.find(item_id)

    @property
    def counts(self) -> Counts:
        """Current numbers of items and changes, and the log's size."""
        index = self._items.state.items.index
        added = index.visible_added()
        new = int((index.origins(added) == added).sum())
        return Counts(
            items=index.live,
            upserted=len(added),
            deleted=len(self._base.cascade.catalogue) - (index.live - new),
            journal_bytes=self._items.log.size(),
        )

    def check(self, item: Item) -> None:
        """Refuse an item that breaks a rule.

        Raises:
            InvalidRequestError: names the field, the rule and the value.
        """
        item = plain_item(item)
        check_item(item, self._base.limits)
        attributes = self._base.cascade.attributes
        try:
            attributes.item_values(filter_values(item, attributes))
        except ValueError as error:
            raise InvalidRequestError(f"attributes of {item.item_id!r}: {error}") from error

    def upsert(self, items: Sequence[Item]) -> None:
        """Add or replace items: all of them, or none. An item that stays as it is costs nothing.

        HTML is removed from their texts, as the data stage does.

        Raises:
            InvalidRequestError: an item breaks a rule, or an id comes twice.
            ArtifactError: the log is out of reach or written by another process; or the release's
                models cannot encode new items.
            OSError: the disk is full or refuses the write; nothing has changed.
        """
        items = [plain_item(item) for item in items]
        for item in items:
            self.check(item)
        require_distinct([item.item_id for item in items])
        known: dict[str, Change] = {}
        for attempt in range(ATTEMPTS):
            with self._writing:
                if self._successor is not None:
                    break
                self._items.claim()
                changed = changed_items(items, self._items.state)
                new = [item for item in changed if item.item_id not in known]
                if not new and self._items.append([known[item.item_id] for item in changed]):
                    return
            if new:
                encoded_now = self._items.changes.upserts(new, self._items.state)
                known |= {change.item_id: change for change in encoded_now}
            else:
                time.sleep(_pause_seconds(attempt))
        self._pass_on().upsert(items)

    def delete(self, item_ids: Sequence[str]) -> None:
        """Delete items from every answer: all of them, or none.

        Raises:
            InvalidRequestError: an id breaks a rule, or one comes twice.
            UnknownItemError: an item is not in the catalogue; the message names it.
            ArtifactError: the log is out of reach or written by another process.
            OSError: the disk is full or refuses the write; nothing has changed.
        """
        for item_id in item_ids:
            check_id("item_id", item_id, self._base.limits)
        require_distinct(item_ids)
        for attempt in range(ATTEMPTS):
            with self._writing:
                if self._successor is not None:
                    break
                self._items.claim()
                for item_id in item_ids:
                    if self._items.state.known(item_id) is None:
                        raise UnknownItemError(f"item_id must be in the catalogue, got {item_id!r}")
                gone = [Change(item_id=item_id, when=0.0, item=None) for item_id in item_ids]
                if self._items.append(gone):
                    return
            time.sleep(_pause_seconds(attempt))
        self._pass_on().delete(item_ids)

    def recount(
        self, store: EventStore, actions: Sequence[str], *, stopped: Callable[[], bool]
    ) -> Recounted | None:
        """Count the recorded events that the release does not contain, in all later answers.

        Call it from one thread at a time. Answers go on meanwhile.

        Args:
            store: Store of the events.
            actions: Actions that belong to a history; always the same.
            stopped: Whether to give up soon; then nothing changes.

        Returns:
            What was counted; None if the release cannot be recounted: its interactions have no
            times.

        Raises:
            StoreError: the store cannot be read; the counts stay as they were.
        """
        release = self._base.cascade
        if self._counts is None:
            self._counts = EventCounts.of(release, actions)
        if self._counts is None:
            return None
        items = self.current.cascade.catalogue
        done, cascade = self._counts.look(store, items, stopped)
        if cascade is not None:
            cascade.catalogue.sales.best_first(cascade.now)  # sorts now, not in the first answer
            with self._writing:
                self._items.recount(cascade)
        return done

    def catch_up(self) -> None:
        """Apply the changes of other servers.

        Raises:
            ArtifactError: the log is damaged or out of reach; the known changes stay in force.
        """
        with self._writing:
            if self._successor is None:
                self._items.read()

    def follow(self) -> None:
        """Follow the log from now on; become its writer if no other process is.

        What fails is logged and tried again.
        """
        with self._writing:
            try:
                self._items.claim()
            except (ArtifactError, OSError) as error:
                logger.warning(
                    "%s; this server follows the item changes and refuses its own", error
                )
            if self._follower is None:
                self._follower = Follower(self._items.log, self.catch_up)

    @contextmanager
    def hand_over(self, successor: "LiveEngine") -> Iterator[None]:
        """Replace this engine by that of another release inside `with`.

        The successor takes over the log. When the block begins, the successor has all acknowledged
        changes. Changes wait while the block runs. After it, this engine forwards every change to
        the successor.

        Raises:
            ArtifactError: the successor cannot encode the changed items, or the log is out of
                reach; this engine stays in use.
        """
        with self._writing, successor._writing:
            with successor._items.with_log(self._items.log):
                yield
            self._successor = successor
            if self._follower is not None:
                self._follower.catch_up = successor.catch_up
            successor._follower, self._follower = self._follower, None

    def close(self) -> None:
        """Stop following and release the log, so that another process can change items."""
        if self._follower is not None:
            self._follower.stop()
        with self._writing:
            self._follower = None
            if self._successor is None:
                self._items.log.close()

    def _pass_on(self) -> "LiveEngine":
        """The engine that has taken over.

        Raises:
            LogUnavailableError: this one is in use, but could not append a change.
        """
        if self._successor is None:
            raise LogUnavailableError(
                f"other servers changed items {ATTEMPTS} times during one change"
            )
        return self._successor


def _pause_seconds(attempt: int) -> float:
    """Random time before another attempt, seconds; longer after more attempts."""
    return random.uniform(0, 1e-3 * min(attempt + 1, 20))
