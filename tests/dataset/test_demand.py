import time

import numpy as np
import pytest

from dataset.clock import Clock
from dataset.demand import Demand
from dataset.interaction_codes import DAY, HOUR

DAYS = (7, 28, 90)


@pytest.fixture
def purchases():
    """Items and times of 500 purchases of 20 items within 200 days; item 7 was never bought."""
    rng = np.random.default_rng(0)
    items = rng.integers(20, size=500)
    items[items == 7] = 8
    return items, 1_700_000_000 + rng.integers(200 * DAY, size=500)


def counted(items, times, item, start, end):
    return sum(start <= at < end for at, one in zip(times, items, strict=True) if one == item)


def test_windows_equal_plain_counting(purchases):
    items, times = purchases
    asked, now = np.array([3, 7, 3, 19, 25]), 1_700_000_000 + 100 * DAY

    found = Demand.of(items, times).windows(asked, DAYS, now)

    starts = [*(now - days * DAY for days in DAYS), 0]
    expected = [[counted(items, times, item, start, now) for item in asked] for start in starts]
    assert found.tolist() == expected


def test_a_purchase_counts_from_the_second_after_it_to_the_end_of_the_window():
    demand = Demand.of(np.array([4]), np.array([1_000]))

    def last_day(now):
        return demand.windows(np.array([4]), (1,), now)[0].item()

    nows = (1_000, 1_001, 1_000 + DAY, 1_001 + DAY)
    assert [last_day(now) for now in nows] == [0, 1, 1, 0]


def test_added_events_count_as_if_they_had_been_there_and_the_old_demand_stays(purchases):
    items, times = purchases
    whole, half = Demand.of(items, times), Demand.of(items[:250], times[:250])
    asked, now = np.arange(20), 1_700_000_000 + 150 * DAY
    before = half.windows(asked, DAYS, now)

    later = half.with_events(items[250:400], times[250:400]).with_events(items[400:], times[400:])

    np.testing.assert_array_equal(later.windows(asked, DAYS, now), whole.windows(asked, DAYS, now))
    np.testing.assert_array_equal(later.first_times(asked), whole.first_times(asked))
    assert later.newest == whole.newest
    np.testing.assert_array_equal(half.windows(asked, DAYS, now), before)


def test_first_times_are_of_the_oldest_purchase(purchases):
    items, times = purchases

    first = Demand.of(items, times).first_times(np.array([3, 7, 99]))

    assert first.tolist() == [times[items == 3].min(), -1, -1]


def test_a_loaded_demand_is_the_saved_one(purchases, tmp_path):
    items, times = purchases
    demand = Demand.of(items[:400], times[:400]).with_events(items[400:], times[400:])
    demand.save(tmp_path)

    loaded = Demand.load(tmp_path)

    np.testing.assert_array_equal(loaded.keys, Demand.of(items, times).keys)
    assert loaded.newest == times.max()


def test_a_shop_without_purchases_has_no_demand(tmp_path):
    empty = Demand.of(np.empty(0, np.int32), np.empty(0, np.int64))
    empty.save(tmp_path)

    for demand in (empty, Demand.load(tmp_path)):
        assert not demand.windows(np.arange(3), DAYS, 1_700_000_000).any()
        assert demand.first_times(np.arange(3)).tolist() == [-1, -1, -1]
        assert demand.newest == 0


def test_data_without_times_has_no_demand(tmp_path):
    assert Demand.load(tmp_path) is None


def test_a_hundred_candidates_among_a_million_items_take_far_less_than_a_millisecond():
    rng = np.random.default_rng(0)
    demand = Demand.of(rng.integers(10**6, size=10**6), rng.integers(10**9, size=10**6))
    asked = rng.integers(10**6, size=100)
    seconds = []
    for _ in range(50):
        started = time.perf_counter()
        demand.windows(asked, DAYS, 10**9)
        seconds.append(time.perf_counter() - started)

    assert min(seconds) < 1e-3


NOW = 1_700_000_000


@pytest.mark.parametrize(
    ("newest", "now"),
    [
        (NOW - 5, NOW - NOW % HOUR),
        (NOW - DAY, NOW - NOW % HOUR),
        (NOW + 5, NOW - NOW % HOUR),
        (NOW - DAY - 1, (NOW - DAY - 1) - (NOW - DAY - 1) % HOUR + HOUR),
        (1_000_000_800, 1_000_000_800 - 1_000_000_800 % HOUR + HOUR),
    ],
)
def test_now_is_the_asking_time_unless_the_events_ended_more_than_a_day_ago(newest, now):
    assert Clock(newest=newest, wall=lambda: NOW + 0.5).now() == now


def test_an_archive_counts_its_own_last_event():
    demand = Demand.of(np.array([0, 0]), np.array([5 * DAY, 9 * DAY]))

    now = Clock(newest=demand.newest).now()

    assert demand.windows(np.array([0]), (7,), now)[0].item() == 2
