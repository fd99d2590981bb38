"""Purchases that were taken away count up to that time, and not after it."""

import time
from dataclasses import replace

import numpy as np
import pytest

from dataset.actions import standing
from dataset.arrays import TEST, TRAIN
from dataset.baskets import Baskets
from dataset.demand import Demand
from dataset.interaction_codes import DAY, MICROSECONDS
from dataset.popularity import first_of_day
from dataset.purchases import STANDS
from dataset.timed_keys import TIMES

DAYS = (7, 28, 90)
START = 1_700_006_400
"""Midnight, UTC"""
BUY, VIEW, REFUND, HIDE = 1, 2, 3, 4
WEIGHTS = {"": 1.0, "buy": 1.0, "view": 0.125, "refund": -1.0, "hide": -np.inf}


def log(shop, *rows, actions=WEIGHTS):
    """A dataset of user, item, seconds after the start, and action."""
    rows = sorted(rows, key=lambda row: (row[0], row[2]))
    users, items, times, numbers = (np.array(column) for column in zip(*rows, strict=True))
    return replace(
        shop,
        offsets=np.searchsorted(users, np.arange(users.max() + 2)),
        items=items.astype(np.int32),
        times=(START + times) * MICROSECONDS,
        moments=np.arange(len(rows), dtype=np.int32),
        actions=numbers.astype(np.int32),
        action_names=[name for name in actions if name],
        action_weights=actions,
        splits=np.full(len(rows), TRAIN, np.uint8),
    )


@pytest.fixture
def refunded(shop):
    """3,000 actions of 30 users on 8 items within 100 days, by the hour."""
    rng = np.random.default_rng(0)
    size = 3_000
    columns = (
        rng.integers(30, size=size),
        rng.integers(8, size=size),
        3_600 * rng.integers(24 * 100, size=size),
        rng.choice([BUY, VIEW, REFUND, HIDE], size, p=[0.5, 0.2, 0.28, 0.02]),
    )
    return log(shop, *zip(*(column.tolist() for column in columns), strict=True))


def counted(data, start, end):
    """(items,) purchases in a window, counted anew from what was known at its end."""
    times = np.asarray(data.times) // MICROSECONDS
    known = np.flatnonzero(times < end)
    stands = known[standing(data.user_of[known], data.items[known], data.weights[known])]
    strong = stands[data.weights[stands] >= 0.5]
    columns = (data.user_of[strong], data.items[strong], data.actions[strong], times[strong])
    bought = strong[first_of_day(*columns)]
    return np.bincount(data.items[bought[times[bought] >= start]], minlength=8)


@pytest.mark.parametrize("day", [0, 1, 9, 50.5, 99, 150])
def test_windows_at_any_time_equal_counting_what_stands_then(refunded, day):
    now, items = START + round(day * DAY), np.arange(8)

    found = refunded.demand().windows(items, DAYS, now)

    starts = [*(now - days * DAY for days in DAYS), 0]
    assert found.tolist() == [counted(refunded, start, now).tolist() for start in starts]


def test_a_refund_takes_one_purchase_from_its_own_second_on(shop):
    data = log(shop, (0, 4, 100, BUY), (1, 4, 150, BUY), (0, 4, 200, REFUND), (0, 4, 300, REFUND))
    demand = data.demand()

    def all_before(second):
        return demand.between(np.array([4, 5]), 0, START + second).tolist()

    expected = [[0, 0], [1, 0], [2, 0], [2, 0], [1, 0], [1, 0]]
    assert [all_before(second) for second in (100, 101, 200, 200, 201, 400)] == expected


def test_what_is_bought_again_on_the_day_of_the_refund_counts(shop):
    data = log(shop, (0, 4, 100, BUY), (0, 4, 200, REFUND), (0, 4, 300, BUY), (0, 4, 400, BUY))
    demand = data.demand()

    sold = [demand.between(np.array([4]), 0, START + at).item() for at in (101, 201, 301, 401)]

    assert sold == [1, 0, 1, 1]


def test_a_refund_of_the_test_split_is_unknown_to_the_trial(shop):
    data = log(shop, (0, 4, 100, BUY), (0, 4, 200, REFUND))
    data = replace(data, splits=np.array([TRAIN, TEST], np.uint8))

    both = [data.demand(before=before) for before in (TEST, TEST + 1)]

    assert [of.between(np.array([4]), 0, TIMES).item() for of in both] == [1, 0]


def test_a_basket_without_a_user_is_refunded_within_itself(shop):
    """The second basket has the same item, and keeps it."""
    data = replace(
        log(shop, (0, 9, 1, BUY), (0, 9, 2, REFUND)),
        purchases_without_user=Baskets(
            offsets=np.array([0, 3, 4]),
            items=np.array([4, 4, 5, 4], np.int32),
            times=(START + np.array([100, 200, 100, 100])) * MICROSECONDS,
            actions=np.array([BUY, REFUND, BUY, BUY], np.int32),
            splits=np.zeros(4, np.uint8),
        ),
    )
    items = np.array([4, 5, 9])

    assert data.demand().between(items, 0, START + 150).tolist() == [2, 1, 0]
    assert data.demand().between(items, 0, START + 201).tolist() == [1, 1, 0]
    assert data.popularity_before(TEST)[items].tolist() == [1, 1, 0]
    assert data.bought_without_user(TEST).tolist() == [False, False, True, True]


def test_what_was_taken_away_is_saved_and_may_follow_later(refunded, tmp_path):
    whole, items = refunded.demand(), np.arange(8)
    whole.save(tmp_path)
    taken = whole.taken
    rows, at = taken.keys >> 34, taken.keys & TIMES
    later = replace(whole, taken=type(taken)()).with_taken(rows[:99], taken.bought[:99], at[:99])
    later = later.with_taken(rows[99:], taken.bought[99:], at[99:])

    for now in (START + 20 * DAY, START + 90 * DAY):
        expected = whole.windows(items, DAYS, now).tolist()
        assert Demand.load(tmp_path).windows(items, DAYS, now).tolist() == expected
        assert later.windows(items, DAYS, now).tolist() == expected


def test_a_log_without_refunds_writes_the_same_files_as_ever(shop, tmp_path):
    shop.demand().save(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["demand.npy"]


def test_many_refunds_cost_at_most_three_times_as_much_as_none():
    rng = np.random.default_rng(0)
    items, times = rng.integers(1000, size=10**6), rng.integers(10**9, size=10**6)
    gone = np.where(rng.random(10**6) < 0.1, times + 10**6, STANDS)
    asked, seconds = rng.integers(1000, size=100), []
    demands = Demand.of(items, times), Demand.of(items, times, gone)
    for _ in range(300):  # in turn, so that other load slows both
        of_both = []
        for demand in demands:
            started = time.perf_counter()
            demand.windows(asked, DAYS, 10**9)
            of_both.append(time.perf_counter() - started)
        seconds.append(of_both)

    plain, refunded = np.min(seconds, axis=0)
    assert refunded < 3 * plain
