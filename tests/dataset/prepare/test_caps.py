"""Programs and double clicks are capped; wholesalers and busy people are not."""

import polars as pl
import pytest

from dataset.prepare.caps import Caps, account_limit, capped, first_of_day, of_people
from dataset.prepare.caps import without_bursts as without

DAY, START = 86_400, 1_700_006_400
"""Seconds; midnight UTC of a day"""


def events(rows, *names):
    """Interactions of (user, item, seconds after the start) and other columns."""
    frame = pl.DataFrame(
        rows, schema=["user_id", "item_id", "time", *names], orient="row", infer_schema_length=None
    )
    return frame.with_columns((pl.col("time") + START) * 1_000_000)


def people(users=20, days=3, a_day=4):
    """Users who look at some items on each of several days."""
    return [
        (f"u{user}", f"i{n}", day * DAY + 61 * n)
        for user in range(users)
        for day in range(days)
        for n in range(a_day + user % 3)
    ]


def bot(moments=2_000, user="bot"):
    return [(user, f"i{n % 700}", 2 * n) for n in range(moments)]


def users_of(frame):
    return set(frame["user_id"])


def test_a_program_among_people_is_left_out_and_named():
    found = events([*people(), *bot()])

    (step,) = capped(found.lazy(), Caps(account=500))

    assert step.rule == "account beyond 500 moments a day"
    assert users_of(step.kept.collect()) == users_of(found) - {"bot"}
    assert (step.lost.users, step.lost.most) == (1, {"bot": 2_000})


def test_where_people_do_much_the_limit_follows_them():
    busy = [(f"u{user}", f"i{n}", 5 * n) for user in range(20) for n in range(50 * (1 + user % 10))]
    heavy = [("heavy", f"i{n}", 5 * n) for n in range(700)]

    found = events([*busy, *heavy])
    limit = account_limit(found, Caps(account=500))

    assert limit > 1_000
    assert of_people(found, limit).equals(found)
    assert users_of(of_people(events([*busy, *bot(40_000)]), limit)) == users_of(events(busy))


def test_a_long_invoice_is_one_moment_by_its_time_or_by_its_basket():
    at_once = [("shop", f"i{n}", 60 * hour) for n in range(900) for hour in range(3)]
    in_seconds = [("other", f"i{n}", n, "invoice 7") for n in range(900)]
    found = events([(*row, None) for row in [*people(), *at_once]] + in_seconds, "basket")

    assert of_people(found, 500).equals(found)


def test_a_shop_of_programs_alone_keeps_them():
    for found in (events(bot()), events([*bot(), *bot(user="b2"), ("u", "i1", 5)])):
        (step,) = capped(found.lazy(), Caps(account=500))
        assert step.kept.collect().equals(found)
        assert step.lost.users == 0


@pytest.mark.parametrize("stated", [True, False])
def test_the_test_says_nothing_of_what_is_usual(stated):
    usual, wild = (
        people(days=8),
        [(f"u{user}", f"i{n}", 9 * DAY + 40 * n) for user in range(20) for n in range(40 * user)],
    )

    def of(rows, split):
        return [(*row, split) for row in rows] if stated else rows

    names = ("split",) if stated else ()
    shares = Caps(account=1, held_out=0.2)
    plain = events([*of(usual, "train"), *of(people(days=1)[:2], "test")], *names)
    shaken = events([*of(usual, "train"), *of(wild, "test")], *names)

    assert account_limit(shaken, shares) == account_limit(plain, shares) < 30


def test_repeats_within_seconds_count_once_by_user_item_and_action():
    clicks = [
        ("u", "a", 1),
        ("u", "a", 2),
        ("u", "a", 5),
        ("u", "a", 9),
        ("u", "b", 2),
        ("v", "a", 2),
    ]
    found = events([(*row, "view") for row in clicks] + [("u", "a", 2, "cart")], "action")

    kept = without(found, 3)

    dropped = found.join(kept, on=found.columns, how="anti")
    assert sorted(dropped["time"] // 1_000_000 - START) == [2, 5]  # each 3 s after the one before
    assert set(dropped["action"]) == {"view"}
    assert users_of(dropped) == {"u"}


def test_whole_minutes_cannot_tell_a_double_click():
    found = events([("u", "a", 60, "x"), ("u", "a", 60, "y"), ("u", "b", 120, "y")], "basket")

    assert without(found, 3).equals(found)


def test_a_day_has_the_first_repeats_alone():
    found = events([("u", "a", 600 * n) for n in range(30)] + [("u", "b", 5), ("u", "a", DAY)])

    kept = first_of_day(found, 20)

    hours = sorted((kept.filter(pl.col("item_id") == "a")["time"] // 1_000_000 - START).to_list())
    assert hours == [*(600 * n for n in range(20)), DAY]
    assert len(kept) == 22


def test_the_position_of_a_row_decides_nothing():
    rows = [("u", "a", t // 2, f"basket {t % 5}") for t in range(60)]
    found = events(rows, "basket")
    caps = Caps(burst_seconds=1, daily=3, account=5)

    forward, backward = (
        [step.kept.collect().sort(pl.all()) for step in capped(frame.lazy(), caps)]
        for frame in (found, found.reverse())
    )

    assert all(one.equals(other) for one, other in zip(forward, backward, strict=True))


def test_without_times_or_caps_nothing_is_dropped():
    found = events([*people(), *bot()])

    assert capped(found.lazy(), Caps()) == []
    assert capped(found.drop("time").lazy(), Caps(burst_seconds=3, daily=20, account=500)) == []
