"""Peers that know the time, with options chosen on the validation split."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from dataset.actions import strengths
from dataset.arrays import TEST, TRAIN, VALID, Dataset
from dataset.cases import Cases, moment_starts
from dataset.demand import Demand
from dataset.interaction_codes import DAY, GAPS
from evaluation.buy_again import buy_again_lists
from evaluation.metrics import ndcg
from evaluation.timed_baselines import TimedKNN, windowed_popularity_lists

POPULARITY, KNN = TIMED_PEERS = "popularity, newest", "item-knn, time decay"
WINDOWS = (7, 14, 28)
"""Days before now whose purchases may make an item popular"""
HALF_LIVES = (7.0, 30.0, 90.0, 1e9)
"""Days in which the weight of an interaction may halve; the last one never does"""
EXPONENTS = (0.0, 0.5)
"""Powers of the purchases in `BOOST_DAYS` days that may multiply an item-kNN score"""
BOOST_DAYS = 28
CHOOSING = 500
"""Most validation cases that choose the options"""
KEPT = 1 << 23
"""Most counts of items that are kept, of some windows and hours"""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Options of the peers."""

    window: int
    half_life: float
    exponent: float

    def __str__(self) -> str:
        half = "none" if self.half_life == HALF_LIVES[-1] else f"{self.half_life:.0f} days"
        return (
            f"{POPULARITY}: last {self.window} days; {KNN}: half-life {half}, times popularity of "
            f"{BOOST_DAYS} days to the power {self.exponent:g}; both chosen on valid"
        )


def timed_peers(
    trial: Dataset, data: Dataset, cases: Cases, listed: int
) -> tuple[Mapping[str, NDArray[np.int32]], Chosen]:
    """Lists of the peers for test cases, and the options that the validation split chose.

    Args:
        trial: The dataset, whose training split the peers learn while options are chosen.
        data: The dataset for the refit, which the peers learn then.
        cases: Test cases, with times.
        listed: Items per case.
    """
    chosen = choose(trial)
    demand = data.demand()
    assert demand is not None
    peers = _Peers(data, demand, cases, listed)
    return {
        POPULARITY: peers.popularity(chosen.window),
        KNN: peers.knn(chosen.half_life, chosen.exponent),
    }, chosen


def choose(trial: Dataset) -> Chosen:
    """The options of the highest NDCG@10 on validation cases; the first ones if there are none.

    The peers are fitted on the training split for it.
    """
    demand = trial.demand(before=TEST)
    assert demand is not None
    cases = trial.cases("valid").sample(CHOOSING, 0)
    if not len(cases):
        return Chosen(window=WINDOWS[0], half_life=HALF_LIVES[0], exponent=EXPONENTS[0])
    peers = _Peers(trial, demand, cases, 10)
    windows = {days: peers.popularity(days) for days in WINDOWS}
    pairs = {pair: peers.knn(*pair) for pair in product(HALF_LIVES, EXPONENTS)}

    def quality(lists: NDArray[np.int32]) -> float:
        return float(ndcg(lists, cases.targets, 10, cases.gains).mean())

    half_life, exponent = max(pairs, key=lambda pair: quality(pairs[pair]))
    window = max(windows, key=lambda days: quality(windows[days]))
    return Chosen(window=window, half_life=half_life, exponent=exponent)


def buy_again(data: Dataset, cases: Cases, listed: int) -> NDArray[np.int32]:
    """Lists of each case's own items again, see `evaluation.buy_again`.

    Args:
        data: Weights of the actions.
        cases: Cases with times.
        listed: Items per case.
    """
    whens = [cases.when(case) for case in range(len(cases))]
    numbers = [codes // GAPS for codes in cases.interaction_codes]
    return buy_again_lists(
        cases.histories,
        [now - times for now, times in whens if now is not None and times is not None],
        [data.weight_of_action[of_case] for of_case in numbers],
        listed,
        excluded=cases.excluded,
    )


class _Peers:
    """Both peers, fitted on the training split of a dataset, for some cases."""

    def __init__(self, data: Dataset, demand: Demand, cases: Cases, listed: int) -> None:
        self._cases, self._demand, self._listed = cases, demand, listed
        self._popularity, self._items = data.popularity, np.arange(len(data.item_ids))
        now_and_times = [cases.when(case) for case in range(len(cases))]
        self._nows = np.array([now for now, _ in now_and_times], np.int64)
        self._ages = [
            now - times for now, times in now_and_times if now is not None and times is not None
        ]
        self._knn = _fitted(data)
        self._weights = [data.weight_of_action[codes // GAPS] for codes in cases.interaction_codes]
        self._counts = lru_cache(max(1, KEPT // len(self._items)))(self._count)

    def _count(self, days: int, now: int) -> NDArray[np.int64]:
        return self._demand.between(self._items, now - days * DAY, now)

    def popularity(self, days: int) -> NDArray[np.int32]:
        return windowed_popularity_lists(
            lambda now: self._counts(days, now),
            self._popularity,
            self._cases.excluded,
            self._nows,
            self._listed,
        )

    def knn(self, half_life: float, exponent: float) -> NDArray[np.int32]:
        def boost(case: int) -> NDArray[np.float32]:
            counts = self._counts(BOOST_DAYS, int(self._nows[case]))
            share: NDArray[np.float64] = counts / max(int(counts.max()), 1)
            return ((share + 0.01) ** exponent).astype(np.float32)

        return self._knn.lists(
            self._cases.histories,
            self._ages,
            self._listed,
            half_life=half_life,
            boost=boost if exponent else None,
            excluded=self._cases.excluded,
            weights=self._weights,
        )


def _fitted(data: Dataset) -> TimedKNN:
    """Item-kNN over users and moments of the training split; a basket without a user is both."""
    kept = data.standing(np.asarray(data.splits) == TRAIN)
    users, items = data.user_of[kept], np.asarray(data.items)[kept]
    of_users = np.searchsorted(users, np.arange(data.users + 1))
    moments = np.unique(moment_starts(users, np.asarray(data.moments)[kept]))
    baskets, chosen = data.purchases_without_user, data.bought_without_user(VALID)
    user_starts, everything = baskets.after_users(of_users, items, kept=chosen)
    starts, _ = baskets.after_users(np.append(moments, len(users)), items, kept=chosen)
    of_pair = strengths(users, items, data.weights[kept])
    return TimedKNN.fit(
        user_starts,
        starts,
        everything,
        len(data.item_ids),
        strengths=np.concatenate([of_pair, baskets.strengths(kept=chosen)]),
    )
