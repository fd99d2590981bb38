import random
from collections import Counter, defaultdict
from hashlib import blake2b
from itertools import pairwise

import polars as pl
import pytest

from dataset.arrays import TEST, TRAIN, VALID
from dataset.config import DataConfig
from dataset.prepare.ordering import chronology
from dataset.prepare.split import assign_split, leave_one_out, time_cut


def digest(string):
    return int.from_bytes(blake2b(string.encode(), digest_size=8).digest(), "big")


def mixed(number):
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    number = (number ^ (number >> 27)) * 0x94D049BB133111EB % 2**64
    return number ^ (number >> 31)


def events_of(seed, users=40):
    draw = random.Random(seed)
    rows = {
        (f"u{user}", f"i{draw.randrange(50)}", draw.randrange(6))
        for user in range(users)
        for _ in range(draw.randrange(1, 9))
    }
    rows = draw.sample(sorted(rows), len(rows))
    return pl.LazyFrame(rows, schema=["user_id", "item_id", "time"], orient="row")


def by_row(events):
    return {
        row[:3]: row[3]
        for row in events.collect().select("user_id", "item_id", "time", "split").rows()
    }


@pytest.mark.parametrize("seed", range(3))
def test_leave_one_out_equals_a_plain_loop(seed):
    events = events_of(seed)
    histories = defaultdict(list)
    for user, item, time in events.collect().rows():
        histories[user].append((time, mixed(digest(item) ^ digest(user)), item))
    expected = {}
    for user, history in histories.items():
        codes = [TRAIN] * (len(history) - 2) + [VALID, TEST]
        codes = codes if len(history) > 2 else [TRAIN] * len(history)
        for (time, _, item), code in zip(sorted(history), codes, strict=True):
            expected[user, item, time] = code

    assert by_row(leave_one_out(events)) == expected


def test_ties_in_time_do_not_depend_on_the_order_of_rows():
    events = events_of(1).with_columns(time=pl.lit(7))
    shuffled = events.collect().sample(fraction=1.0, shuffle=True, seed=3).lazy()

    assert by_row(leave_one_out(events)) == by_row(leave_one_out(shuffled))


def test_ties_in_time_are_not_broken_by_the_id():
    rows = [(f"u{n}", f"{item}{n}", 1) for n in range(60) for item in "abc"]
    events = pl.LazyFrame(rows, schema=["user_id", "item_id", "time"], orient="row")

    last = [item for (_, item, _), code in by_row(leave_one_out(events)).items() if code == TEST]

    assert {item[0] for item in last} == {"a", "b", "c"}


def test_the_order_of_items_of_one_time_differs_between_users():
    rows = [(f"u{n}", item, 1) for n in range(60) for item in "abc"]
    events = pl.LazyFrame(rows, schema=["user_id", "item_id", "time"], orient="row")

    last = [item for (_, item, _), code in by_row(leave_one_out(events)).items() if code == TEST]

    assert set(last) == {"a", "b", "c"}


def test_all_pairs_of_items_of_one_time_are_adjacent_equally_often():
    items = [f"i{n}" for n in range(12)]
    rows = [(f"u{n}", item, 1) for n in range(400) for item in items]
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "time"], orient="row")

    order = events.sort("user_id", *chronology(events.schema))["item_id"].to_list()

    beside = Counter()
    for start in range(0, len(order), len(items)):
        beside.update(frozenset(pair) for pair in pairwise(order[start : start + len(items)]))
    assert len(beside) == 66
    assert max(beside.values()) < 110  # 67 expected, standard deviation 7


def test_a_stated_order_precedes_the_time():
    events = pl.LazyFrame(
        {"user_id": ["u"] * 3, "item_id": ["a", "b", "c"], "order": [2, 1, 0], "time": [1, 2, 3]}
    )

    assert by_row(leave_one_out(events)) == {
        ("u", "a", 1): TEST,
        ("u", "b", 2): VALID,
        ("u", "c", 3): TRAIN,
    }


def test_a_stated_split_is_kept():
    events = pl.LazyFrame(
        {
            "user_id": ["u"] * 3,
            "item_id": ["a", "b", "c"],
            "time": [1, 2, 3],
            "split": ["test", "train", "valid"],
        }
    )

    split = assign_split(events, DataConfig())

    assert split.collect()["split"].to_list() == [TEST, TRAIN, VALID]


def test_a_time_cut_gives_each_split_its_share():
    events = pl.LazyFrame({"user_id": "u", "item_id": "a", "time": range(100)})

    split = time_cut(events, valid_share=0.2, test_share=0.1).collect()["split"].to_list()

    assert split == [TRAIN] * 70 + [VALID] * 20 + [TEST] * 10


@pytest.mark.parametrize("seed", range(3))
def test_a_time_cut_never_divides_interactions_of_one_time(seed):
    split = time_cut(events_of(seed), valid_share=0.3, test_share=0.3).collect()

    sides = [split.filter(pl.col("split") == code)["time"] for code in (TRAIN, VALID, TEST)]

    assert sides[0].max() < sides[1].min()
    assert sides[1].max() < sides[2].min()
