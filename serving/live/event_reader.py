"""Reads what is new in an event store, as arrays of rows."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dataset.later_events import LaterEvents
from events.event_store import EventStore, Row
from events.privacy.user_names import KeysError, UserNames, digest_of
from serving.catalogue.catalogue import Catalogue

SETTLED_SECONDS = 60.0
"""Time after which no event gets an earlier place in the store; stores give up an append sooner"""
COLUMNS = 5
"""Columns of known events: sequence number, user, item, action, time"""


class EventReader:
    """The events of a store since a time, for one release. One thread at a time may use it.

    A look reads only what is new. Everything is read again when a user was erased or renamed, or
    when the store is another one, such as one that was brought back from a copy.
    """

    def __init__(self, catalogue: Catalogue, actions: Mapping[str, int], after: int) -> None:
        """Start without events.

        Args:
            catalogue: Items and users of the release.
            actions: Number of each action to read, by name.
            after: Unix seconds; events of this second and before it are not read.
        """
        self._catalogue, self._numbers, self._after = catalogue, actions, after
        self._built = len(catalogue.data.item_ids)
        self._erasure = self._keys = 0
        self.version = 0
        """Changes when the known events do"""
        self._forget()

    @cached_property
    def events(self) -> LaterEvents:
        """The known events; items that the release lacks follow its own, as in `new_items`."""
        _, users, items, actions, times = self._known
        users, _ = _by_appearance(users, self._catalogue.data.users)
        items, _ = _by_appearance(items, self._built)
        order = np.argsort(times, kind="stable")
        return LaterEvents(
            users=users[order],
            items=items[order].astype(np.int32),
            actions=actions[order].astype(np.int32),
            times=times[order],
        )

    @cached_property
    def new_items(self) -> Sequence[str]:
        """Ids of the items of the events that the release lacks, in order of appearance."""
        ids = list(self._new_items)
        return [ids[row - self._built] for row in _by_appearance(self._known[2], self._built)[1]]

    def read(self, store: EventStore, stopped: Callable[[], bool]) -> int:
        """Read what is new; return the number of events that were not known.

        Args:
            store: The store.
            stopped: Whether to give up soon; then nothing new is known.

        Raises:
            StoreError: the store cannot be read; what was known stays.
        """
        names, erasures = self._catalogue.erased.names, store.erasures(self._erasure)
        if erasures or len(names.keys) != self._keys:
            self._forget()
        blocks = self._blocks(store, stopped)
        if blocks is None:
            self._forget()
            blocks = self._blocks(store, stopped) or []
        if stopped():
            return 0
        self._erasure = erasures[-1].sequence if erasures else self._erasure
        self._keys = len(names.keys)
        return self._include(blocks)

    def _blocks(
        self, store: EventStore, stopped: Callable[[], bool]
    ) -> list[NDArray[np.int64]] | None:
        """Events since the last place that is settled; None if that place is another one now."""
        mark = next((row for at, row in self._ends if self._is_settled(at)), None)
        batches = store.since(
            0 if mark is None else mark[0] - 1, tuple(self._numbers), later_than=self._after
        )
        blocks, last = list[NDArray[np.int64]](), None
        for batch in batches:
            if mark is not None and not blocks and batch[0] != mark:
                return None
            blocks.append(self._rows(batch))
            last = batch[-1]
            if stopped():
                return blocks
        if mark is not None and last is None:
            return None
        if last is not None:
            self._ends.appendleft((time.monotonic(), last))
        while len(self._ends) > 1 and self._is_settled(self._ends[-2][0]):
            self._ends.pop()
        return blocks

    @staticmethod
    def _is_settled(at: float) -> bool:
        return time.monotonic() - at > SETTLED_SECONDS

    def _rows(self, batch: Sequence[Row]) -> NDArray[np.int64]:
        """(events, columns) of a batch."""
        sequences, names, item_ids, actions, times = zip(*batch, strict=True)
        items = list(map(self._item, item_ids))
        users = [self._users[name] for name in names]
        numbers = [self._numbers[action] for action in actions]
        return np.column_stack([sequences, users, items, numbers, times]).astype(np.int64)

    def _item(self, item_id: str) -> int:
        """Row of an item; one that the release lacks gets the next row."""
        row = self._catalogue.row_of.get(item_id)
        if row is None:
            row = self._new_items.setdefault(item_id, self._built + len(self._new_items))
        return row

    def _include(self, blocks: Sequence[NDArray[np.int64]]) -> int:
        """Add blocks, each event once, in the order of recording; return how many are new."""
        before = int(self._known.shape[1])
        both = np.concatenate([self._known.T, *blocks])
        _, places = np.unique(both[:, 0], return_index=True)
        if len(places) > before:
            self._replace(np.ascontiguousarray(both[places].T))
        return len(places) - before

    def _forget(self) -> None:
        self._ends = deque[tuple[float, Row]]()
        self._users, self._new_items = _Users(self._catalogue), dict[str, int]()
        self._replace(np.empty((COLUMNS, 0), np.int64))

    def _replace(self, known: NDArray[np.int64]) -> None:
        self._known = known
        self.version += 1
        for derived in ("events", "new_items"):
            self.__dict__.pop(derived, None)


def _by_appearance(numbers: NDArray[np.int64], known: int) -> tuple[NDArray[np.int64], list[int]]:
    """Numbers from `known` on, anew in order of appearance, so that all readers agree.

    Returns:
        The numbers; and the former numbers of those from `known` on, in the new order.
    """
    is_new = numbers >= known
    new, first, place = np.unique(numbers[is_new], return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(new), np.int64)
    rank[order] = np.arange(len(new))
    renumbered = numbers.copy()
    renumbered[is_new] = known + rank[place]
    return renumbered, new[order].tolist()


class _Users(dict[str, int]):
    """Row of each user by the name in the store; a name that is new gets the next row."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__()
        self._erased, self._named = catalogue.erased, catalogue.named
        self._release, self._next = catalogue.user_of, catalogue.data.users
        self._prolonged: Mapping[str, int] | None = None

    def __missing__(self, name: str) -> int:
        row = self._row(name)
        if row is None:
            row, self._next = self._next, self._next + 1
        self[name] = row
        return row

    def _row(self, name: str) -> int | None:
        """Row in the release; None for a user whom it lacks, or who was erased and came back.

        The store may have names by more keys than the release, and by fewer while it is renamed.
        """
        names, erased = self._erased.names, self._erased.digests
        current = _current(names, name)
        if current != name:
            return self[current]
        if erased and digest_of(name) in erased:
            return None
        if len(names.keys) == self._named:
            return self._release.get(name)
        if self._prolonged is None:
            self._prolonged = {_current(names, user): row for user, row in self._release.items()}
        return self._prolonged.get(name)


def _current(names: UserNames, name: str) -> str:
    """The current name of a user; the same if other keys made it, or without keys."""
    if not names.keys:
        return name
    try:
        return names.prolonged(name)
    except KeysError:
        return name
