"""Counts and neighbour lists of a release that move with recorded events."""

import logging
from collections.abc import Callable, Sequence

from dataset.clock import Clock
from dataset.demand import Demand
from dataset.later_events import (
    LaterEvents,
    end_of,
    last_day,
    purchases_of,
    with_actions,
    with_later,
    with_purchases,
)
from events.event_store import EventStore
from index.item_knn import NeighbourLists
from index.pair_lists import Purchases, pair_lists, pairs_to_count
from serving.api.protocol import Recounted
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
    events. Lists are as of the hour as of which the release answers, so servers of a store agree.
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
        self._version = self._reader.version
        self._listed, self._as_of = (self._version, 0), 0
        self._lists: tuple[NeighbourLists, NeighbourLists] | None = None
        self._counted, self._fits = 0, True

    @classmethod
    def of(cls, release: Cascade, actions: Sequence[str]) -> "EventCounts | None":
        """Counts that start with those of a release; None if its interactions have no times."""
        demand = release.features.demand
        return None if demand is None else cls(release, demand, actions)

    def look(
        self, store: EventStore, stopped: Callable[[], bool]
    ) -> tuple[Recounted, Cascade | None]:
        """Read what is new, and count it.

        Args:
            store: The store.
            stopped: Whether to give up soon; then the counts stay.

        Returns:
            What was done, and the release with the counts; None if they stay.

        Raises:
            StoreError: the store cannot be read; the counts stay.
        """
        read = self._reader.read(store, stopped)
        later, moved = self._reader.events, self._reader.version != self._version
        if moved:
            purchases = purchases_of(self._data, later, self._last_day)
            assert self._release.features.demand is not None
            self._demand = with_purchases(self._release.features.demand, purchases)
            self._counted = len(purchases)
        now = Clock(newest=self._demand.newest, wall=self._release.wall).now()
        past = later.before(now)
        listed = (self._reader.version, len(past))
        due = now != self._as_of and listed != self._listed
        if due and not stopped():
            self._lists = self._made_again(past)
        pairs = len(self._lists[0].rows) if due and self._lists else None
        done = Recounted(
            read=read, events=len(later), counted=self._counted, as_of=now, pairs=pairs
        )
        if stopped() or not (moved or due):
            return done, None
        self._version = self._reader.version
        if due:
            self._listed, self._as_of = listed, now
        return done, self._cascade()

    def _cascade(self) -> Cascade:
        counted = self._release.with_demand(self._demand)
        return counted if self._lists is None else counted.with_neighbours(*self._lists)

    def _made_again(self, past: LaterEvents) -> tuple[NeighbourLists, NeighbourLists] | None:
        """Neighbour lists of the data with events; None for those of the release."""
        sources = self._release.retriever.sources
        if sources.neighbours is None or not len(past):
            return None
        data = with_later(self._data, past)
        if max(len(sources.neighbours.rows), len(data.items)) > MOST_ROWS or (
            pairs_to_count(data) > MOST_PAIRS
        ):
            if self._fits:
                logger.warning("neighbours stay those of the release: it is too large for new ones")
            self._fits = False
            return None
        return pair_lists(sources.config, data, Purchases.of(data))
