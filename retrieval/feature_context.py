"""What features are computed from: one user, the candidates, and the release's data about items."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dataset.demand import Demand
from dataset.interaction_codes import DAY
from index.arrays import Rows, Scores
from index.item_knn import NeighbourLists
from index.ranked_list import RankedList
from index.recall_sources import RecallSources
from index.sales import learnt_popularity

FLOOR = 1e-3
"""Added to a share before taking its logarithm."""
NEWEST = 50
"""Most items of a history that features read, the newest ones."""
DECAY = 0.7
"""Weight of a history item relative to the next newer item."""
WINDOWS = (7, 28, 90)
"""Lengths in days of the windows before now in which purchases are counted"""
HALF_LIFE = 30
"""Days in which the weight of a history item halves"""


@dataclass(frozen=True, kw_only=True)
class FeatureContext:
    """One user's history and candidates; computes each intermediate result once."""

    sources: RecallSources
    popularity: NDArray[np.float64]
    all_item_times: NDArray[np.float32]
    candidates: RankedList
    history: Rows
    """(all items,) item rows, oldest first"""
    action_weights: Scores | None = None
    """(all items,) weights of the history's actions, the largest is 1; None if all are equal"""
    times: NDArray[np.int64] | None = None
    """(all items,) Unix seconds of the history; None if unknown"""
    now: int = 0
    """Unix seconds before which purchases count"""
    demand: Demand | None = None
    """Purchases by time; None where interactions have no times"""

    @property
    def shortlist(self) -> RankedList:
        """The list among which candidates have ranks: their own, or the shopper's shortlist."""
        return self.candidates if self.candidates.shortlist is None else self.candidates.shortlist

    def in_shortlist(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(candidates,) flags of the shortlist's items; false for candidates that it lacks."""
        if self.candidates.shortlist is None:
            return flags
        flagged: NDArray[np.bool_] = np.isin(self.candidates.rows, self.shortlist.rows[flags])
        return flagged

    @cached_property
    def newest(self) -> Rows:
        """(history,) item rows of the `NEWEST` newest items, newest first."""
        return self.history[-NEWEST:][::-1]

    @cached_property
    def history_origins(self) -> NDArray[np.int64]:
        """(history,) rows of the history items in the counts."""
        return self.sources.count_rows(self.newest)

    @cached_property
    def origins(self) -> NDArray[np.int64]:
        """(candidates,) rows of the candidates in the counts."""
        return self.sources.count_rows(self.candidates.rows)

    @property
    def count(self) -> int:
        """Number of candidates."""
        return len(self.candidates.rows)

    @cached_property
    def item_cosines(self) -> Scores:
        """(history, candidates) cosines of the items' embeddings."""
        rows, length = np.concatenate([self.newest, self.candidates.rows]), len(self.newest)
        embeddings = self.sources.index.vectors(rows)
        cosines: Scores = embeddings[:length] @ embeddings[length:].T
        return cosines

    @cached_property
    def together(self) -> Scores:
        """(history, candidates) item-kNN weight: how much the same users buy both."""
        weights = _weights(self.sources.neighbours, self.history_origins, self.origins)
        return self._by_action(weights)

    @cached_property
    def after(self) -> Scores:
        """(history, candidates) weight of buying the candidate after the history item."""
        weights = _weights(self.sources.next_items, self.history_origins, self.origins)
        return self._by_action(weights)

    @cached_property
    def before(self) -> Scores:
        """(history, candidates) weight of buying the history item after the candidate."""
        weights = _weights(self.sources.next_items, self.origins, self.history_origins).T
        return self._by_action(weights)

    def _by_action(self, values: Scores) -> Scores:
        """Values of (history, candidates), those of weaker actions smaller, as in recall."""
        if self.action_weights is None:
            return values
        weighted: Scores = values * self.action_weights[-NEWEST:][::-1, None]
        return weighted

    @cached_property
    def recency(self) -> Scores:
        """(history, 1) weights that decay with an item's place, newest first."""
        weights: Scores = DECAY ** np.arange(len(self.newest), dtype=np.float32)[:, None]
        return weights

    @cached_property
    def bought(self) -> NDArray[np.int64]:
        """(windows + 1, candidates) purchases in each of `WINDOWS`, last all before now."""
        assert self.demand is not None
        return self.demand.windows(self.origins, WINDOWS, self.now)

    @property
    def purchases(self) -> NDArray[np.float64]:
        """(candidates,) purchases before now; without times, learnt popularity."""
        if self.demand is None:
            return learnt_popularity(self.popularity, self.origins)
        counts: NDArray[np.float64] = self.bought[-1].astype(np.float64)
        return counts

    @property
    def age(self) -> NDArray[np.int64]:
        """(candidates,) seconds since the first purchase; 0 for an item that nobody has bought."""
        assert self.demand is not None
        first = self.demand.first_times(self.origins)
        return np.where(first < 0, 0, np.maximum(self.now - first, 0))

    @property
    def gap(self) -> int:
        """Seconds since the newest interaction; 0 if unknown, for a shopper acts now."""
        return 0 if self.times is None or not len(self.times) else self.now - int(self.times[-1])

    @cached_property
    def _had(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(candidates,) interactions of the user with each, and interactions since the last one.

        The whole history for an item that the user never had.
        """
        newest_first = self.sources.index.origins(self.history[::-1])
        items, last, counts = np.unique(newest_first, return_index=True, return_counts=True)
        if not len(items):
            return np.zeros(self.count, np.int64), np.zeros(self.count, np.int64)
        candidates = self.sources.index.origins(self.candidates.rows)
        place = np.minimum(np.searchsorted(items, candidates), len(items) - 1)
        had = items[place] == candidates
        return np.where(had, counts[place], 0), np.where(had, last[place], len(self.history))

    @property
    def times_had(self) -> NDArray[np.int64]:
        """(candidates,) interactions of the user with each."""
        return self._had[0]

    @property
    def recency_had(self) -> Scores:
        """(candidates,) 1 / (1 + interactions since the last one with it); 0 if there was none."""
        recency: Scores = np.where(self.times_had > 0, 1 / (1 + self._had[1]), 0.0)
        return recency

    @property
    def recency_had_by_time(self) -> Scores:
        """(candidates,) 0.5^(time since the last one with it / `HALF_LIFE`); 0 if none is known."""
        if self.times is None:
            return np.zeros(self.count, np.float32)
        ages = np.append(np.maximum(self.now - self.times[::-1], 0), 0) / DAY
        recency: Scores = np.where(self.times_had > 0, 0.5 ** (ages[self._had[1]] / HALF_LIFE), 0.0)
        return recency

    @cached_property
    def recency_by_time(self) -> Scores:
        """(history, 1) weights that halve with every `HALF_LIFE` days, newest first."""
        if self.times is None:
            return self.recency
        days = np.maximum(self.now - self.times[-NEWEST:][::-1], 0) / DAY
        weights: Scores = (0.5 ** (days / HALF_LIFE)).astype(np.float32)[:, None]
        return weights

    @cached_property
    def item_times(self) -> Scores:
        """(columns, candidates), columns as in `index.demand_eras.COLUMNS`."""
        return self._item_times(self.origins).T

    @cached_property
    def eras(self) -> Scores:
        """(history,) eras of the history items; a single 0 for an empty history."""
        if not len(self.newest):
            return np.zeros(1, np.float32)
        return self._item_times(self.history_origins)[:, 0]

    def _item_times(self, origins: NDArray[np.int64]) -> Scores:
        return self.all_item_times[np.minimum(origins, len(self.all_item_times) - 1)]


def _weights(
    lists: NeighbourLists | None, owners: NDArray[np.int64], rows: NDArray[np.int64]
) -> Scores:
    """(owners, rows) weights of the rows in the owners' lists; rows may repeat."""
    if lists is None:
        return np.zeros((len(owners), len(rows)), np.float32)
    distinct, place = np.unique(rows, return_inverse=True)
    return lists.between(owners, distinct)[:, place]


def at_age(values: Scores, age: int) -> Scores:
    """(candidates,) values of the history item of an age; 0 where the history is shorter."""
    row: Scores = values[age] if age < len(values) else np.zeros(values.shape[1], np.float32)
    return row


def maximum(values: Scores) -> Scores:
    """(candidates,) maximum over the history, at least 0."""
    largest: Scores = values.max(axis=0, initial=0.0)
    return largest


def mean(values: Scores) -> Scores:
    """(candidates,) mean over the history, 0 for an empty one."""
    average: Scores = values.sum(axis=0) / max(len(values), 1)
    return average


def decayed(context: FeatureContext, values: Scores) -> Scores:
    """(candidates,) sum over the history; newer items weigh more."""
    total: Scores = (context.recency * values).sum(axis=0)
    return total


def decayed_mean(context: FeatureContext, values: Scores) -> Scores:
    """(candidates,) mean over the history; newer items weigh more."""
    average: Scores = decayed(context, values) / max(float(context.recency.sum()), 1.0)
    return average


def decayed_by_time(context: FeatureContext, values: Scores) -> Scores:
    """(candidates,) sum over the history; weights halve with time."""
    total: Scores = (context.recency_by_time * values).sum(axis=0)
    return total


def share_in(context: FeatureContext, window: int) -> Scores:
    """(candidates,) logarithm of the share of all purchases that are in a window."""
    share: Scores = np.log((context.bought[window] + 0.5) / (context.bought[-1] + 3))
    return share


def trend(context: FeatureContext) -> Scores:
    """(candidates,) logarithm of the purchases a day in 7 days against those in 28."""
    ratio: Scores = np.log((context.bought[0] + 0.5) / (context.bought[1] / 4 + 0.5))
    return ratio


def log_days(seconds: int | NDArray[np.int64]) -> Scores:
    """log(1 + days); of negative times 0."""
    days: Scores = np.log1p(np.maximum(seconds, 0) / DAY)
    return days


def gap_to_the_best(context: FeatureContext, scores: str) -> Scores:
    """Difference from the shortlist's best score, at most 0 for its own items."""
    best = getattr(context.shortlist, scores).max(initial=-np.inf)
    gap: Scores = getattr(context.candidates, scores) - best
    return gap


def log_share(share: Scores) -> Scores:
    """Logarithm of shares, finite for 0."""
    logarithm: Scores = np.log(share + np.float32(FLOOR))
    return logarithm


def log_rank(context: FeatureContext, scores: str) -> Scores:
    """log(1 + rank) in the shortlist: the best has rank 0, and ties share their best rank."""
    order = np.sort(-getattr(context.shortlist, scores))
    place = np.searchsorted(order, -getattr(context.candidates, scores))
    ranks: Scores = np.log1p(place).astype(np.float32)
    return ranks
