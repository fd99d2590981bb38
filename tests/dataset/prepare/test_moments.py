import random
from itertools import combinations

import polars as pl
import pytest

from dataset.prepare.moments import with_moments
from dataset.prepare.schema import WEIGHT

MINUTE = 60_000_000


def moments(columns, **options):
    """Number of the moment of each row, in the order of the rows."""
    rows = pl.LazyFrame({"user_id": "u", **columns}).with_row_index("row")
    return with_moments(rows, **options).sort("row").collect()["moment"].to_list()


def test_interactions_of_one_time_are_one_moment():
    assert moments({"time": [5, 1, 5, 3, 1]}) == [2, 0, 2, 1, 0]


def test_times_within_a_second_are_moments_of_their_own():
    assert moments({"time": [1_000_001, 1_000_000]}) == [1, 0]


def test_moments_of_each_user_count_from_0():
    assert moments({"user_id": ["a", "b", "a", "b"], "time": [1, 9, 2, 9]}) == [0, 0, 1, 0]


def test_without_times_the_order_numbers_the_moments():
    assert moments({"order": [4, 2, 2, -1]}) == [2, 1, 1, 0]
    assert moments({"order": [4, 2, 2, -1]}, basket_minutes=60) == [2, 1, 1, 0]


def test_a_session_ends_with_a_gap_that_is_longer_than_the_option():
    times = [minute * MINUTE for minute in (0, 30, 60, 91, 121)]

    assert moments({"time": times}, basket_minutes=30) == [0, 0, 0, 1, 1]
    assert moments({"time": times}, basket_minutes=0.5) == [0, 1, 2, 3, 4]


def test_a_basket_is_one_moment_at_whatever_times_it_was_filled():
    columns = {"time": [1, 3, 5, 7, 8], "basket": ["x", "x", None, "y", None]}

    assert moments(columns) == [0, 0, 1, 2, 3]


def test_baskets_that_overlap_in_time_are_one_moment():
    columns = {"time": [1, 3, 2, 5, 9], "basket": ["x", "x", "y", "y", "z"]}

    assert moments(columns) == [0, 0, 0, 0, 1]


def test_a_refund_under_its_orders_number_is_a_moment_of_its_own():
    columns = {"time": [1, 3, 5, 7], "basket": ["x", "x", "y", "x"], WEIGHT: [8, 8, 8, -8]}

    assert moments(columns) == [0, 0, 1, 2]


def test_a_basket_of_another_user_is_another_basket():
    columns = {"user_id": ["a", "b", "b"], "time": [1, 2, 9], "basket": ["1", "1", "2"]}

    assert moments(columns) == [0, 0, 1]


def test_times_that_contradict_the_order_of_a_user_leave_its_moments_to_the_order():
    users = ["a"] * 4 + ["b"] * 2
    columns = {"user_id": users, "order": [1, 2, 3, 4, 1, 2], "time": [5, 3, 5, 7, 6, 6]}

    # a's interactions at time 5 are one moment, and so is what the order has between them
    assert moments(columns) == [0, 0, 0, 1, 0, 0]


@pytest.mark.parametrize("seed", range(5))
def test_of_two_moments_one_ends_before_the_other_begins(seed):
    draw = random.Random(seed)
    rows = [
        (draw.choice("uv"), draw.randrange(60), draw.choice([None, "x", "y", "z"]))
        for _ in range(60)
    ]
    events = pl.LazyFrame(rows, schema=["user_id", "time", "basket"], orient="row")
    gap = draw.randrange(3)

    found = with_moments(events, basket_minutes=gap / MINUTE).collect()

    spans = found.group_by("user_id", "moment").agg(
        start=pl.col("time").min(), end=pl.col("time").max(), baskets=pl.col("basket").unique()
    )
    for one, other in combinations(spans.sort("user_id", "moment").rows(named=True), 2):
        if one["user_id"] == other["user_id"]:
            assert one["end"] + gap < other["start"]
            assert not {*one["baskets"], None} & {*other["baskets"]} - {None}
