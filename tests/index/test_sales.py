import numpy as np

from dataset.arrays import LONG_AGO
from dataset.demand import Demand
from dataset.interaction_codes import DAY
from index.sales import WINDOW, Sales

SUMMER, WINTER = 1_720_000_000, 1_735_000_000
LAMP, PARASOL, SLEDGE, UNSOLD = range(4)


def seasonal():
    """A parasol sells in summer, a sledge more often in winter, a lamp always."""
    times = {
        PARASOL: SUMMER - DAY * np.arange(1, 20),
        SLEDGE: WINTER - DAY * np.repeat(np.arange(1, 20), 3),
        LAMP: np.concatenate([end - DAY * np.arange(1, 6) for end in (SUMMER, WINTER)]),
    }
    items = np.repeat(list(times), [len(of_item) for of_item in times.values()])
    return Demand.of(items, np.concatenate(list(times.values())))


def sales(demand):
    return Sales(popularity=np.array([10, 19, 57, 0]), demand=demand)


def test_a_winter_item_does_not_lead_in_summer():
    timed = sales(seasonal())

    assert timed.best_first(SUMMER).tolist()[:2] == [PARASOL, LAMP]
    assert timed.best_first(WINTER).tolist()[:2] == [SLEDGE, LAMP]
    assert timed.counts(np.array([SLEDGE, PARASOL]), SUMMER).tolist() == [0, WINDOW]


def test_items_that_nobody_bought_of_late_follow_by_all_purchases():
    after = WINTER + 2 * WINDOW * DAY

    assert sales(seasonal()).best_first(after).tolist() == [SLEDGE, PARASOL, LAMP, UNSOLD]


def test_without_times_all_purchases_count():
    untimed = sales(None)

    assert untimed.best_first(None).tolist() == [SLEDGE, PARASOL, LAMP, UNSOLD]
    assert untimed.counts(np.array([LAMP, 99]), None).tolist() == [10, 0]


def test_live_events_move_the_best_sellers():
    before = sales(seasonal())
    assert before.best_first(SUMMER)[0] == PARASOL

    bought = np.full(30, LAMP), np.full(30, SUMMER - 60)
    after = before.with_demand(seasonal().with_events(*bought))

    assert after.best_first(SUMMER)[0] == LAMP
    assert before.best_first(SUMMER)[0] == PARASOL


def test_a_window_that_is_asked_for_again_is_the_same_object_until_the_demand_changes():
    two_weeks = sales(seasonal())
    week = two_weeks.with_window(7)

    assert week.with_window(14) is two_weeks
    assert two_weeks.with_window(7) is week
    assert two_weeks.with_demand(seasonal()).with_window(7) is not week


def test_what_was_sold_equals_the_head_of_all_whichever_hour_is_asked(monkeypatch):
    monkeypatch.setattr("index.sales.HEAD", 2)
    monkeypatch.setattr("index.sales.HOURS", 1)
    timed = sales(seasonal())

    for now in (SUMMER, WINTER, SUMMER):
        best, sold = timed.best_first(now), int((timed.counts(np.arange(4), now) > 0).sum())
        assert timed.sold(now, 0, 2).tolist() == best[:2].tolist()
        assert timed.sold(now, 1, 4).tolist() == best[1:sold].tolist()
        assert sold < 4


def test_neither_later_purchases_nor_rows_order_items_of_equal_counts():
    """Of four items that sold once in the window, one had sold before and another sells later."""
    first, early, later, last = range(4)
    items = np.array([first, early, later, last, early, *[later] * 50])
    before = [WINTER - DAY] * 4 + [WINTER - 100 * DAY]
    demand = Demand.of(items, np.array(before + [WINTER + DAY] * 50))

    orders = {
        tuple(Sales.of(demand, 4).best_first(WINTER).tolist()),
        tuple(Sales(popularity=np.array([1, 2, 51, 1]), demand=demand).best_first(WINTER).tolist()),
    }

    ((best, *others),) = orders
    assert best == early
    assert sorted(others) == [first, later, last]
    assert others != sorted(others)
    assert Sales.of(demand, 4).sold(WINTER, 0, 9).tolist() == [best, *others]
    assert Sales.of(seasonal(), 4, window=1).counts(np.array([PARASOL]), SUMMER).tolist() == [1]


def test_items_of_equal_sales_are_in_the_order_in_which_they_were_added():
    added = np.array([5, 9, 7, LONG_AGO])
    unsold = Sales(popularity=np.zeros(4), added=added)
    sold = Sales(popularity=np.array([0, 0, 0, 2]), added=added)

    assert unsold.best_first(None).tolist() == [1, 2, 0, 3]
    assert sold.best_first(None).tolist() == [3, 1, 2, 0]
    assert [of.newest_first(None) for of in (unsold, sold)] == [True, False]
    assert not Sales(popularity=np.zeros(4)).newest_first(None)


def test_items_that_the_release_lacks_are_sold_like_others_and_unsold_ones_are_last():
    bought = np.full(30, UNSOLD + 1), np.full(30, SUMMER - 60)
    timed = sales(seasonal()).with_demand(seasonal().with_events(*bought), new=2)

    assert timed.best_first(SUMMER).tolist() == [UNSOLD + 1, PARASOL, LAMP, SLEDGE, UNSOLD, 5]
    assert timed.sold(SUMMER, 0, 9).tolist() == [UNSOLD + 1, PARASOL, LAMP]
