"""A dataset with events that happened after it ended."""

from dataclasses import replace

import numpy as np
import pytest

from dataset.arrays import TEST, TRAIN
from dataset.interaction_codes import DAY, MICROSECONDS
from dataset.later_events import (
    LaterEvents,
    end_of,
    last_day,
    purchases_of,
    with_actions,
    with_later,
    with_purchases,
)

START = 1_700_006_400
"""Midnight, UTC"""
ANN, BEN, CLEO, DORA = range(4)
"""Ben has no interactions, Cleo and Dora come later"""


@pytest.fixture
def data(shop):
    """Two users on one day; Ann bought items 1 and 2 at once, and item 3."""
    times = START + np.array([10, 10, 20])
    return replace(
        shop,
        user_ids=shop.user_ids[:2],
        offsets=np.array([0, 3, 3]),
        items=np.array([1, 2, 3], np.int32),
        times=times * MICROSECONDS,
        moments=np.array([0, 0, 1], np.int32),
        actions=np.ones(3, np.int32),
        splits=np.array([TRAIN, TRAIN, TEST], np.uint8),
    ).for_last_fit()


def events(*rows):
    """Events of user, item, seconds after the start, and action number."""
    users, items, times, actions = (np.array(column) for column in zip(*rows, strict=True))
    return LaterEvents(
        users=users,
        items=items.astype(np.int32),
        times=START + times,
        actions=actions.astype(np.int32),
    )


def test_events_follow_the_history_of_their_user_and_new_users_follow_the_known(data):
    later = events((DORA, 9, 30, 1), (ANN, 4, 40, 1), (BEN, 5, 40, 2), (ANN, 6, 40, 1))

    whole = with_later(data, later)

    assert whole.users == 4
    assert whole.offsets.tolist() == [0, 5, 6, 6, 7]
    assert whole.items.tolist() == [1, 2, 3, 4, 6, 5, 9]
    assert whole.moments.tolist() == [0, 0, 1, 2, 2, 0, 0]
    assert (whole.times // MICROSECONDS - START).tolist() == [10, 10, 20, 40, 40, 40, 30]
    assert whole.actions.tolist() == [1, 1, 1, 1, 1, 2, 1]
    assert (whole.splits == TRAIN).all()
    assert data.users == 2
    assert len(data.items) == 3


WEIGHTS = {"": 0.125, "buy": 1, "view": 0.125, "refund": -1}


@pytest.mark.parametrize("actions", [(1, 2), (1, 1, 2, 3)])
def test_demand_is_that_of_the_whole_data(data, actions):
    """Events repeat and take away purchases of the data, of its last day and before it."""
    rng, size = np.random.default_rng(0), 600
    weights = WEIGHTS if 3 in actions else {}
    known = with_actions(replace(data, action_weights=weights), ["refund"])
    columns = (rng.integers(3, size=size), rng.integers(1, 6, size=size))
    times = np.sort(rng.integers(-2 * DAY, 3 * DAY, size))
    rows = events(*zip(*columns, times, rng.choice(actions, size), strict=True))
    old = (times < 100) & (rows.users < 2)
    nothing = replace(known, offsets=np.zeros(3, int), **empty(data))
    released = with_later(nothing, rows.chosen(old))
    later = rows.chosen(~old & (times > times[old].max()))
    whole = with_later(released, later)

    bought = purchases_of(released, later, last_day(released))

    counted = with_purchases(released.demand(), bought)
    expected = whole.demand()
    together = np.sort(np.concatenate([counted.keys, counted.added]))
    assert 0 < len(bought) < size
    np.testing.assert_array_equal(together, expected.keys)
    np.testing.assert_array_equal(counted.taken.keys, expected.taken.keys)
    np.testing.assert_array_equal(counted.taken.bought, expected.taken.bought)
    assert (len(bought.undone) > 0) == (3 in actions)


def empty(data):
    """Arrays of a dataset without interactions."""
    names = ("items", "times", "moments", "actions", "splits")
    return {name: getattr(data, name)[:0] for name in names}


def test_weak_actions_and_those_that_take_away_are_no_purchases(data):
    known = with_actions(
        replace(data, action_weights={"": 0.2, "buy": 1, "view": 0.1, "refund": -1}),
        ["refund", "rent"],
    )
    buy, view, refund, rent = 1, 2, 3, 4

    later = events((BEN, 1, 30, view), (BEN, 2, 31, refund), (BEN, 3, 32, rent), (BEN, 4, 33, buy))

    assert known.action_names == ("buy", "view", "refund", "rent")
    assert purchases_of(known, later, last_day(known)).events.items.tolist() == [4]


def newest(data, later):
    bought = purchases_of(data, later, last_day(data))
    return with_purchases(data.demand(), bought).newest - START


@pytest.mark.parametrize("buyers", [1, 3, 9])
def test_now_does_not_lag_in_a_shop_of_few_buyers(data, buyers):
    hours = [24 // buyers * n for n in range(1, 20 * buyers)]
    later = events(*((CLEO + n, 1, 3600 * hour, 1) for n, hour in enumerate(hours)))

    assert newest(data, later) == 3600 * hours[-1]


def test_views_tell_what_happens_now_too(data):
    data = replace(data, action_weights={"buy": 1, "view": 0.125})

    assert newest(data, events((ANN, 4, 2 * DAY, 2))) == 2 * DAY
    assert len(purchases_of(data, events((ANN, 4, 2 * DAY, 2)), last_day(data))) == 0


def test_an_archive_moves_with_several_buyers_and_not_with_one(data):
    far = 400 * DAY
    alone = events(*((ANN, item, far + item, 1) for item in range(50)))
    together = events(*((user, 1, far + 100 * user, 1) for user in range(12)))
    then_daily = events(
        *((user, 1, far + 100 * user, 1) for user in range(12)), (ANN, 1, far + 3 * DAY, 1)
    )

    assert newest(data, alone) == end_of(data) - START
    assert newest(data, together) == far + 1100
    assert newest(data, then_daily) == far + 3 * DAY
    assert newest(data, events((ANN, 1, 6 * DAY, 1), (ANN, 1, far, 1))) == 6 * DAY


def test_events_before_a_time_are_those_of_earlier_seconds():
    later = events((ANN, 1, 5, 1), (ANN, 2, 6, 1), (ANN, 3, 6, 1), (ANN, 4, 7, 1))

    assert later.before(START + 6).items.tolist() == [1]
    assert len(later.before(START)) == 0
