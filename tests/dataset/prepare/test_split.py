import random
from collections import Counter, defaultdict
from itertools import pairwise

import polars as pl
import pytest

from dataset.arrays import TEST, TRAIN, VALID
from dataset.config import DataConfig
from dataset.prepare.actions import with_weights
from dataset.prepare.moments import with_moments
from dataset.prepare.ordering import chronology
from dataset.prepare.split import TIME_CUT, assign_split, cuts_of, leave_one_out, time_cut
from dataset.prepare.targets import with_targets


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


def left_out(events, **options):
    rows = with_weights(with_moments(events, **options), {}).collect()
    return leave_one_out(with_targets(rows, DataConfig(), timed=False).lazy())


def frame(*rows):
    return pl.LazyFrame(rows, schema=["user_id", "item_id", "time"], orient="row")


@pytest.mark.parametrize("seed", range(3))
def test_leave_one_out_equals_a_plain_loop_over_moments(seed):
    events = events_of(seed)
    histories = defaultdict(lambda: defaultdict(set))
    for user, item, time in events.collect().rows():
        histories[user][time].add(item)
    expected = {}
    for user, moments in histories.items():
        seen, fresh = set(), []
        for time in sorted(moments):
            if moments[time] - seen:
                fresh.append(time)
            seen |= moments[time]
        test, valid = (fresh[-1], fresh[-2]) if len(fresh) > 2 else (99, 99)
        for time, items in moments.items():
            code = TEST if time >= test else VALID if time >= valid else TRAIN
            expected |= {(user, item, time): code for item in items}

    assert by_row(left_out(events)) == expected


def test_a_whole_basket_is_the_test_and_the_one_before_the_validation():
    basket = [("u", item, time) for time, items in enumerate(["ab", "cd", "efg"]) for item in items]

    splits = by_row(left_out(frame(*basket)))

    assert [splits[row] for row in basket] == [TRAIN] * 2 + [VALID] * 2 + [TEST] * 3


def test_a_last_moment_without_a_new_item_follows_the_test():
    rows = [("u", "a", 1), ("u", "b", 2), ("u", "c", 3), ("u", "a", 4)]

    assert list(by_row(left_out(frame(*rows))).values()) == [TRAIN, VALID, TEST, TEST]


def test_users_with_two_moments_of_new_items_are_training():
    rows = [("u", "a", 1), ("u", "b", 2), ("u", "a", 3)]

    assert set(by_row(left_out(frame(*rows))).values()) == {TRAIN}


def test_the_order_of_rows_decides_nothing():
    events = events_of(1)
    shuffled = events.collect().sample(fraction=1.0, shuffle=True, seed=3).lazy()

    assert by_row(left_out(events)) == by_row(left_out(shuffled))
    assert by_row(cut(events)) == by_row(cut(shuffled))


def cut(events, *, valid_share=0.3, test_share=0.3, **options):
    moments = with_moments(events, **options)
    config = DataConfig(valid_share=valid_share, test_share=test_share)
    return time_cut(moments, cuts_of(moments, config))


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

    assert by_row(left_out(events)) == {
        ("u", "a", 1): TEST,
        ("u", "b", 2): VALID,
        ("u", "c", 3): TRAIN,
    }


def test_a_stated_order_does_not_divide_a_moment():
    events = pl.LazyFrame(
        {
            "user_id": ["u"] * 6,
            "item_id": list("abcdef"),
            "order": range(6),
            "time": [1, 1, 2, 2, 3, 3],
        }
    )

    assert list(by_row(left_out(events)).values()) == [TRAIN] * 2 + [VALID] * 2 + [TEST] * 2


def test_a_stated_split_is_kept_and_the_overridden_option_is_said():
    events = pl.LazyFrame(
        {
            "user_id": ["u"] * 3,
            "item_id": ["a", "b", "c"],
            "time": [1, 2, 3],
            "split": ["test", "train", "valid"],
        }
    )

    split = assign_split(events, DataConfig())
    overridden = assign_split(events, DataConfig(split="time-cut"))

    assert split.interactions.sort("time").collect()["split"].to_list() == [TEST, TRAIN, VALID]
    assert (split.by, split.notes) == ("the column `split`", ())
    assert overridden.by == split.by
    assert overridden.notes == (
        "the column `split` decides, and the option split: time-cut does not count",
    )


def test_times_are_cut_by_default():
    rows = [("u", f"i{n}", n) for n in range(30)]

    split = assign_split(frame(*rows), DataConfig())

    assert (split.by, split.notes) == (TIME_CUT, ())
    assert split.interactions.sort("time").collect()["split"].to_list() == (
        [TRAIN] * 21 + [VALID] * 6 + [TEST] * 3
    )
    assert assign_split(frame(*rows), DataConfig(split="leave-one-out")).notes == ()


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        (
            pl.LazyFrame({"user_id": "u", "item_id": list("abcdef"), "order": range(6)}),
            "because there are no times to cut by",
        ),
        (
            pl.LazyFrame(
                {
                    "user_id": "u",
                    "item_id": list("abcd"),
                    "order": range(4),
                    "time": [4, 3, 2, 1],
                }
            ),
            "because the column `order` contradicts the times",
        ),
        (
            frame(("u", "a", 1), ("u", "b", 2), ("u", "c", 3), ("v", "a", 9), ("v", "b", 9)),
            "because a cut by time leaves nothing to predict in test; the data reach from "
            "1970-01-01 to 1970-01-01: `cuts`, or",
        ),
    ],
)
def test_leave_one_out_is_the_default_where_a_cut_by_time_is_impossible(events, reason):
    split = assign_split(events, DataConfig())

    assert split.by == "leave-one-out"
    assert split.notes[-1].startswith(f"leave-one-out, {reason}")
    assert set(split.interactions.collect()["split"]) == {TRAIN, VALID, TEST}


def test_a_time_cut_gives_each_split_its_share():
    events = pl.LazyFrame({"user_id": "u", "item_id": "a", "time": range(100)})

    split = cut(events, valid_share=0.2, test_share=0.1).sort("time").collect()["split"].to_list()

    assert split == [TRAIN] * 70 + [VALID] * 20 + [TEST] * 10


@pytest.mark.parametrize("seed", range(3))
def test_a_time_cut_never_divides_interactions_of_one_time(seed):
    split = cut(events_of(seed)).collect()

    sides = [split.filter(pl.col("split") == code)["time"] for code in (TRAIN, VALID, TEST)]

    assert sides[0].max() < sides[1].min()
    assert sides[1].max() < sides[2].min()


def test_a_time_cut_never_divides_a_session():
    minute = 60_000_000
    rows = [("u", f"i{n}", n * minute) for n in range(40)]
    rows += [("v", f"i{n}", n * 600 * minute) for n in range(40)]

    split = cut(frame(*rows), valid_share=0.2, test_share=0.2, basket_minutes=1).collect()

    assert split.filter(pl.col("user_id") == "u")["split"].n_unique() == 1
    assert split.filter(pl.col("user_id") == "v")["split"].n_unique() == 3


def test_no_row_at_or_after_a_cut_is_in_an_earlier_split():
    minute = 60_000_000
    rows = [("u", "a", 8 * minute), ("u", "b", 9 * minute), ("u", "c", 11 * minute)]
    rows += [("v", "a", 1 * minute), ("v", "b", 5 * minute), ("v", "c", 10 * minute)]

    split = time_cut(with_moments(frame(*rows), basket_minutes=2), (5 * minute, 10 * minute))

    assert [by_row(split)[row] for row in rows] == [TEST] * 3 + [TRAIN, VALID, TEST]


def test_a_moment_of_more_than_a_day_is_divided_at_the_days_and_said():
    hour = 3_600_000_000
    rows = [("guest", f"i{n}", n * hour) for n in range(100)] + [("u", "a", 0)]

    split = assign_split(
        frame(*rows), DataConfig(basket_minutes=60, valid_share=0.25, test_share=0.25)
    )

    assert split.by == TIME_CUT
    (note,) = split.notes
    assert note.startswith("1 moment of 1 user spans more than a day")
    events = split.interactions.filter(pl.col("user_id") == "guest").sort("time").collect()
    assert events["moment"].to_list() == [n // 24 for n in range(100)]
    assert events.filter(pl.col("split") == TRAIN)["time"].max() < split.cuts[0]


def test_dates_of_which_the_last_has_more_than_the_share_are_cut_between_days():
    day = 86_400_000_000
    rows = [(f"u{n % 10}", f"i{n}", (n // 10) * day) for n in range(70)]
    rows += [(f"u{n % 10}", f"j{n}", 7 * day) for n in range(30)]

    split = assign_split(frame(*rows), DataConfig())

    assert (split.by, split.cuts, split.notes) == (TIME_CUT, (6 * day, 7 * day), ())


def test_cuts_beyond_the_data_are_said():
    rows = [(f"u{n % 5}", f"i{n}", 1_700_000_000_000_000 + n) for n in range(50)]

    split = assign_split(
        frame(*rows), DataConfig(split="time-cut", cuts=("2024-01-01", "2024-02-01"))
    )

    assert split.by == TIME_CUT
    assert split.notes[0].startswith(
        "a cut by time leaves nothing to predict in valid and test; the data reach from "
        "2023-11-14 to 2023-11-14: `cuts`, or"
    )


@pytest.mark.parametrize(("contradicting", "counts"), [(1, "the times"), (9, "order")])
def test_few_users_whose_order_contradicts_their_times_leave_the_times_to_the_others(
    contradicting, counts
):
    rows = [(f"u{user}", f"i{n}", n * 1_000_000, n) for user in range(40) for n in range(30)]
    rows = [
        (user, item, time, -place if int(user[1:]) < contradicting else place)
        for user, item, time, place in rows
    ]
    events = pl.LazyFrame(rows, schema=["user_id", "item_id", "time", "order"], orient="row")

    split = assign_split(events, DataConfig())

    assert split.notes[0].startswith(
        f"column 'order' contradicts the times of {contradicting} of 40 users, such as order -28 "
        "at 1970-01-01 00:00:28 after -29 at 1970-01-01 00:00:29: "
    )
    assert (split.by == TIME_CUT) == (counts == "the times")
    own = split.interactions.filter(pl.col("user_id") == "u0").sort("moment").collect()
    assert own["time"].is_sorted(descending=counts == "order")


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize(("repeats", "held_out"), [("allow", True), ("exclude", False), (2, True)])
def test_a_shop_of_consumables_keeps_its_validation_and_test(timed, repeats, held_out):
    day = 86_400_000_000
    rows = [
        (f"u{user}", f"i{user % 3}", n * 3 * day + user) for user in range(40) for n in range(8)
    ]
    events = frame(*rows)
    if not timed:
        events = events.rename({"time": "order"})
        if repeats == 2:
            return

    split = assign_split(events, DataConfig(repeats=repeats)).interactions.collect()["split"]

    assert (set(split) == {TRAIN, VALID, TEST}) == held_out
    if held_out and not timed:
        assert [(split == code).sum() for code in (TRAIN, VALID, TEST)] == [240, 40, 40]
