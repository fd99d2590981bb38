"""Counts and neighbour lists of a release that move with recorded events."""

import logging
from collections.abc import Callable, Sequence

import numpy as np

from dataset.arrays import Dataset
from dataset.clock import Clock
from dataset.demand import Demand
from dataset.later_events import (
    LaterEvents,
    end_of,
    last_day,
    purchases_of,
    with_actions,
    with_items,
    with_later,
    with_purchases,
)
from events.event_store import EventStore
from index.item_knn import NeighbourLists
from index.pair_lists import Purchases, pair_lists, pairs_to_count
from serving.api.protocol import Recounted
from serving.catalogue.catalogue import Catalogue
from serving.engine.cascade import Cascade
from serving.live.event_reader import EventReader

logger = logging.getLogger(__name__)
MOST_ROWS = 20_000_000
"""Interactions, and pairs in the neighbour lists, up to which the lists are made again"""
MOST_PAIRS = 500_000_000
"""Sum of squared histories up to which the lists are made again"""


class EventCounts:
    """Counts the events that one release does not contain. One thread at a time may use it.

    An event counts if it is newer than everything in the release's data. Purchases and neighbour
    lists become those that the data stage and the index stage would make of the data with these
    events and with the items that were added since. Lists are as of the hour as of which the
    release answers, so servers of a store agree.
    """

    def __init__(self, release: Cascade, demand: Demand, actions: Sequence[str]) -> None:
        """Start with the counts of the release.

        Args:
            release: The release as it was loaded.
            demand: Its purchases.
            actions: Actions that belong to a history.
        """
        self._release, self._demand = release, demand
        self._data = data = with_actions(release.catalogue.data, actions)
        self._last_day = last_day(data)
        numbers = {name: n for n, name in enumerate(data.action_names, 1) if name in set(actions)}
        self._reader = EventReader(release.catalogue, numbers, end_of(data))
        self._state = (self._reader.version, b"")
        self._listed, self._as_of = (self._state, 0), 0
        self._listed_new = tuple[tuple[int, str], ...]()
        self._lists: tuple[NeighbourLists, NeighbourLists] | None = None
        self._counted, self._fits = 0, True

    @classmethod
    def of(cls, release: Cascade, actions: Sequence[str]) -> "EventCounts | None":
        """Counts that start with those of a release; None if its interactions have no times."""
        demand = release.features.demand
        return None if demand is None else cls(release, demand, actions)

    def look(
        self, store: EventStore, catalogue: Catalogue, stopped: Callable[[], bool]
    ) -> tuple[Recounted, Cascade | None]:
        """Read what is new, and count it.

        Args:
            store: The store.
            catalogue: The items as they are now; events of others do not count.
            stopped: Whether to give up soon; then the counts stay.

        Returns:
            What was done, and the release with the counts; None if they stay.

        Raises:
            StoreError: the store cannot be read; the counts stay.
        """
        read = self._reader.read(store, stopped)
        ids, built = self._reader.new_items, len(self._data.item_ids)
        is_sold = np.array([catalogue.row(item_id) is not None for item_id in ids], bool)
        later = self._reader.events
        later = later.chosen(np.append(np.ones(built, bool), is_sold)[later.items])
        state = (self._reader.version, is_sold.tobytes())
        moved, data = state != self._state, with_items(self._data, ids)
        if moved:
            purchases = purchases_of(data, later, self._last_day)
            assert self._release.features.demand is not None
            self._demand = with_purchases(self._release.features.demand, purchases)
            self._counted = len(purchases)
        now = Clock(newest=self._demand.newest, wall=self._release.wall).now()
        past = later.before(now)
        listed = (state, len(past))
        new = tuple(
            (row, ids[row - built]) for row in np.unique(past.items).tolist() if row >= built
        )
        due = listed != self._listed and (now != self._as_of or new != self._listed_new)
        if due and not stopped():
            self._lists = self._made_again(data, past)
        pairs = len(self._lists[0].rows) if due and self._lists else None
        done = Recounted(
            read=read, events=len(later), counted=self._counted, as_of=now, pairs=pairs
        )
        if stopped() or not (moved or due):
            return done, None
        self._state = state
        if due:
            self._listed, self._as_of, self._listed_new = listed, now, new
        counted = self._release.with_demand(self._demand, tuple(ids))
        return done, counted if self._lists is None else counted.with_neighbours(*self._lists)

    def _made_again(
        self, data: Dataset, past: LaterEvents
    ) -> tuple[NeighbourLists, NeighbourLists] | None:
        """Neighbour lists of the data with events; None for those of the release."""
        sources = self._release.retriever.sources
        if sources.neighbours is None or not len(past):
            return None
        data = with_later(data, past)
        if max(len(sources.neighbours.rows), len(data.items)) > MOST_ROWS or (
            pairs_to_count(data) > MOST_PAIRS
        ):
            if self._fits:
                logger.warning("neighbours stay those of the release: it is too large for new ones")
            self._fits = False
            return None
        return pair_lists(sources.config, data, Purchases.of(data))
