"""Looks up items and users of a release: ids to rows, and back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from dataset.arrays import Dataset
from dataset.demand import Demand
from dataset.histories import History, history_of
from dataset.interaction_codes import MICROSECONDS, action_numbers
from dataset.item_fields import ItemFields
from dataset.postings import bitmap_of, rows_of
from events.privacy.erased_users import ErasedUsers
from events.privacy.user_names import length_of
from index.count_rows import CountRows
from index.sales import Sales
from serving.catalogue.live_items import LiveItems
from serving.catalogue.user_history import (
    excluding_by_name,
    history_with,
    span_after,
    weights_by_name,
)
from shortlist_client.api.event import Event
from shortlist_client.api.item import Item, KnownItem
from shortlist_client.api.privacy import PastInteraction
from shortlist_client.api.request import Shopper

NOBODY = ErasedUsers()


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Items and users of a release, with item changes. Knows nothing of models."""

    data: Dataset
    """Ids, titles, texts and histories of the release"""
    fields: ItemFields | None
    """Other fields of the items; None if there are none"""
    row_of: Mapping[str, int]
    """Row of every item of the release, by id"""
    user_of: Mapping[str, int]
    """Row of every user of the release, by id"""
    action_codes: Mapping[str, int]
    """Codes of the release's actions, by name"""
    sales: Sales
    """What sells best"""
    live: LiveItems | None = None
    """Items that changed since the release was built; None if none did"""
    count_rows: CountRows | None = None
    """Rows of the changed items in the counts; None if none changed"""
    erased: ErasedUsers = NOBODY
    """Users whose histories count no more; grows while the release answers"""

    @classmethod
    def of(
        cls,
        data: Dataset,
        fields: ItemFields | None = None,
        erased: ErasedUsers = NOBODY,
        demand: Demand | None = None,
    ) -> "Catalogue":
        """Index a release's items and users by id.

        Raises:
            KeysError: other keys than those of `erased` made the users' names.
        """
        if erased.names.keys and len(data.user_ids):
            erased.names.require(data.user_ids[0])
        return cls(
            data=data,
            fields=fields,
            row_of={item_id: row for row, item_id in enumerate(data.item_ids)},
            user_of={user_id: row for row, user_id in enumerate(data.user_ids)},
            action_codes={name: code for code, name in enumerate(data.action_names, 1)},
            sales=Sales(popularity=data.popularity, added=data.added, demand=demand),
            erased=erased,
        )

    def __len__(self) -> int:
        return len(self.data.item_ids) if self.live is None else self.live.index.live

    @property
    def actions(self) -> Sequence[str]:
        """Names of the actions that change a history, see `Dataset.acting`."""
        return self.data.acting

    def item_id(self, row: int) -> str:
        """Id of an item row."""
        if self.live is None or row < len(self.data.item_ids):
            return self.data.item_ids[row]
        return self.live.item(row).item_id

    def title(self, row: int) -> str:
        """Title of an item row."""
        if self.live is None or row < len(self.data.item_ids):
            return self.data.titles[row]
        return self.live.item(row).title

    def find(self, item_id: str) -> KnownItem | None:
        """Current form of an item; None if it is unknown or deleted."""
        row = self.row(item_id)
        if row is None:
            return None
        return KnownItem(item=self.item(row), changed=row >= len(self.data.item_ids))

    def item(self, row: int) -> Item:
        """Item of a row, with all recorded fields."""
        if self.live is None or row < len(self.data.item_ids):
            described = {} if self.fields is None else self.fields[row]
            return Item(item_id=self.data.item_ids[row], title=self.title(row), **described)
        return self.live.item(row)

    def text(self, row: int) -> str:
        """Text of a row of the release, as the towers encode it."""
        return self.data.texts[row]

    def purchases(self, rows: NDArray[np.int32], now: int | None) -> NDArray[np.float64]:
        """(rows,): newest purchases of each item, as `Sales.counts`."""
        counted = rows.astype(np.int64) if self.count_rows is None else self.count_rows(rows)
        return self.sales.counts(counted, now)

    def best_selling(
        self, size: int, allowed: BitMap | None = None, *, now: int | None = None
    ) -> NDArray[np.int32]:
        """Rows of the best-selling items; new items that nobody has bought come last.

        In a shop that has sold nothing and knows the times of its items, new items come first.

        Args:
            size: Number of items, at most.
            allowed: Item rows to choose from, without hidden rows; None for all.
            now: Unix seconds as of which items sell; None where interactions have no times.
        """
        by_sales = self.sales.best_first(now)
        if allowed is None and self.live is None:
            return by_sales[:size]
        new = _among(self._new(), allowed)
        if self.sales.newest_first(now):
            rest = _among(self._counted(by_sales), allowed)
            return np.concatenate([new, rest])[:size].astype(np.int32)
        wanted, found, start, block = min(size, self._size(allowed) - len(new)), 0, 0, size
        parts: list[NDArray[np.int64]] = []
        while found < wanted:
            parts.append(_among(self._counted(by_sales[start : start + block]), allowed))
            found, start, block = found + len(parts[-1]), start + block, 2 * block
        return np.concatenate([*parts, new])[:size].astype(np.int32)

    def _counted(self, counted: NDArray[np.int32]) -> NDArray[np.int64]:
        """Current rows of some rows in the counts; without deleted items."""
        rows = counted if self.count_rows is None else self.count_rows.current(counted)
        return rows[rows >= 0].astype(np.int64)

    def current(self, rows: NDArray[np.int32]) -> NDArray[np.int64]:
        """Current rows of some items, by their rows in the release; without deleted items."""
        now = rows.astype(np.int64) if self.live is None else self.live.index.current(rows)
        return now[now >= 0]

    def base_row(self, item_id: str) -> int | None:
        """Row of an item in the release, even if it was changed or deleted; None if not there."""
        return self.row_of.get(item_id)

    def row(self, item_id: str) -> int | None:
        """Current row of an item; None if it is unknown or deleted."""
        row = None if self.live is None else self.live.row(item_id)
        row = self.row_of.get(item_id) if row is None else row
        if row is None or (self.live and not self.live.index.alive(np.array([row]))[0]):
            return None
        return row

    def rows(self, item_ids: Sequence[str]) -> tuple[NDArray[np.int32], tuple[str, ...]]:
        """Rows of the known ids, in order, and the unknown ids."""
        return _look_up(self.row, item_ids)

    def given_history(self, shopper: Shopper) -> tuple[History, tuple[str, ...]]:
        """The history of a request, and its unknown ids, without which it is read.

        Deleted items count, because they still describe the shopper. If the release's interactions
        have no times, the given times are ignored. Without actions, all weigh the same and
        exclude their items.
        """
        items, unknown = _look_up(self._history_row, shopper.history)
        missing = set(unknown)
        known = np.array([item_id not in missing for item_id in shopper.history], bool)
        numbers, weights = np.zeros(len(known), np.int32), np.ones(len(known), np.float32)
        excluding = np.ones(len(known), bool)
        if shopper.history_actions:
            numbers = action_numbers(shopper.history_actions, self.action_codes)
            weights = weights_by_name(self.data, shopper.history_actions)
            excluding = excluding_by_name(self.data, shopper.history_actions)
        times = None
        if shopper.history_times and self.data.timed:
            times = np.asarray(shopper.history_times, np.int64)[known]
        found = history_of(items, weights[known], numbers[known], times, excluding[known])
        return found, unknown

    def history(self, user_id: str, recent: Sequence[Event] = ()) -> History | None:
        """Full history of a user, oldest first; None if neither release nor events know the user.

        Args:
            user_id: Id of the user. What the release knows of an erased user does not count.
            recent: Events of the user since the release was built. Events that the release already
                contains and events with unknown items are ignored.
        """
        span = self._span(user_id)
        rows = [self._history_row(event.item_id) for event in recent]
        since = [(row, event) for row, event in zip(rows, recent, strict=True) if row is not None]
        if span.start == span.stop and not since:
            return None
        return history_with(self.data, span, since, self.action_codes)

    def past(self, user_id: str) -> list[PastInteraction]:
        """A user's history in the release, oldest first; empty for an unknown or erased user."""
        span, names = self._span(user_id), ("", *self.data.action_names)
        columns = (self.data.items, self.data.actions, self.data.times)
        return [
            PastInteraction(
                item_id=self.data.item_ids[row],
                action=names[action],
                time=time // MICROSECONDS if self.data.timed else None,
            )
            for row, action, time in zip(
                *(column[span].tolist() for column in columns), strict=True
            )
        ]

    @cached_property
    def named(self) -> int:
        """How many keys named the users of the release; 0 if it has their ids."""
        return length_of(self.data.user_ids[0]) if len(self.data.user_ids) else 0

    def _span(self, user_id: str) -> slice:
        """Places of a user's interactions that count, in the release."""
        names = self.erased.names
        user = self.user_of.get(names.at(user_id, self.named) if names.keys else user_id)
        if user is None:
            return slice(0, 0)
        return span_after(self.data, user, self.erased.until(user_id))

    def _new(self) -> NDArray[np.int64]:
        """Rows of the items that are not in the counts, newest first."""
        if self.live is None or self.count_rows is None:
            return np.empty(0, np.int64)
        added = self.live.index.visible_added()
        new: NDArray[np.int64] = added[self.count_rows.are_new(added)][::-1]
        return new

    def _size(self, allowed: BitMap | None) -> int:
        return len(self) if allowed is None else len(allowed)

    def _history_row(self, item_id: str) -> int | None:
        """Row of an item for histories: the release's row if it has one, else the added row."""
        row = self.row_of.get(item_id)
        return self.live.row(item_id) if row is None and self.live is not None else row


def _among(rows: NDArray[np.int64], allowed: BitMap | None) -> NDArray[np.int64]:
    """The allowed ones of some rows, in their order."""
    if allowed is None:
        return rows
    return rows[np.isin(rows, rows_of(bitmap_of(rows) & allowed))]


def _look_up(
    row_of: Callable[[str], int | None], item_ids: Sequence[str]
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    found = {item_id: row_of(item_id) for item_id in item_ids}
    known = [row for item_id in item_ids if (row := found[item_id]) is not None]
    unknown = tuple(item_id for item_id, row in found.items() if row is None)
    return np.array(known, np.int32), unknown
