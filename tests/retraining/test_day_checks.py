"""Days whose data must not be learnt are told by what is usual."""

from dataclasses import replace
from datetime import date, timedelta

import polars as pl
import pytest

from dataset.prepare.days import Day, days_of
from dataset.prepare.sources import Source
from dataset.prepare.validation import Table
from retraining.day_checks import DayLimits, problems
from retraining.held_days import HeldDays

FIRST = date(2026, 9, 7)  # a Monday
SECOND = 1_000_000


def usual(count=30):
    """Weekdays of 1,000 events and Sundays of 200, one item with 2% of each day."""
    return [
        Day(
            day=FIRST + timedelta(days=number),
            events=200 if number % 7 == 6 else 1_000,
            users=100,
            items=50,
            repeated=10 if number % 7 != 6 else 2,
            again=5,
            top_item="best",
            top=20 if number % 7 != 6 else 4,
        )
        for number in range(count)
    ]


def next_day(**changes):
    return replace(usual(31)[30], **changes)  # a Wednesday


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"events": 0, "top": 0, "again": 0, "repeated": 0}, "0 events instead of about 1,000"),
        ({"events": 150}, "150 events instead of about 1,000"),
        ({"events": 10_000, "top": 200}, "10,000 events instead of about 1,000"),
        ({"repeated": 500}, "50% of the events of 2026-10-07 were sent twice"),
        ({"again": 900}, "are those of the day before, to the second"),
        ({"unknown": 400}, "are of items that the catalogue does not have"),
        ({"top": 300, "top_item": "pushed"}, "30% of the events of 2026-10-07 are of the item"),
    ],
)
def test_a_bad_day_is_named_with_its_reason(changes, said):
    (reason,) = problems(next_day(**changes), usual(), DayLimits())

    assert said in reason


def test_usual_days_are_good_and_a_sunday_is_compared_with_sundays():
    days = usual(35)

    assert not any(problems(day, days[:place], DayLimits()) for place, day in enumerate(days))
    assert problems(replace(days[34], events=1_000, top=20), days[:34], DayLimits())


def test_without_a_week_of_days_only_an_empty_day_is_bad():
    assert problems(next_day(events=0), usual(6), DayLimits()) == ["2026-10-07 has no events"]
    assert not problems(next_day(events=90_000), usual(6), DayLimits())


def test_a_shop_that_is_closed_on_sundays_may_have_no_events_then():
    closed = [replace(day, events=0) if day.day.weekday() == 6 else day for day in usual(34)]

    assert not problems(replace(usual(35)[34], events=0), closed, DayLimits())


def test_a_bad_day_is_held_back_until_it_is_allowed_and_is_no_example(tmp_path):
    days = [*usual(), next_day(events=10_000), replace(usual(32)[31], events=9_000)]
    until = FIRST + timedelta(days=32)
    limits = {"since": FIRST + timedelta(days=7), "until": until, "limits": DayLimits()}

    held = HeldDays().judged(days, **limits)
    assert sorted(held.reasons) == ["2026-10-07", "2026-10-08"]
    held.write(tmp_path)
    again = HeldDays.read(tmp_path).allow("2026-10-07")
    again.write(tmp_path)

    assert sorted(HeldDays.read(tmp_path).judged(days, **limits).reasons) == ["2026-10-08"]
    with pytest.raises(ValueError, match=r"must be one that is held back \(2026-10-08\)"):
        again.allow("2026-10-01")
    (tmp_path / "held_days.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        HeldDays.read(tmp_path)


def test_days_before_the_judged_ones_say_what_is_usual_closed_days_too():
    open_days = [day for day in usual(60) if day.day.weekday() != 6]
    until = FIRST + timedelta(days=63)

    held = HeldDays().judged(
        open_days, since=until - timedelta(days=7), until=until, limits=DayLimits()
    )

    assert sorted(held.reasons) == ["2026-11-06", "2026-11-07"]  # Friday and Saturday


def test_a_day_without_rows_between_others_is_judged_as_empty():
    days = usual()
    del days[20]  # a Sunday

    held = HeldDays().judged(
        days, since=FIRST, until=FIRST + timedelta(days=30), limits=DayLimits()
    )

    assert list(held.reasons) == ["2026-09-27"]


def table(frame):
    return Table(frame=frame.lazy(), path="x", files=())


def test_days_are_counted_from_rows_as_they_are():
    day = 86_400 * SECOND
    rows = [
        ("u", "a", 5 * SECOND),
        ("u", "a", 5 * SECOND),
        ("v", "b", 6 * SECOND),
        ("v", "gone", 7 * SECOND),
        ("u", "a", 2 * day + 5 * SECOND),
        ("u", "a", 3 * day + 5 * SECOND),
        ("v", "a", 3 * day + 9 * SECOND),
    ]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "time"], orient="row")
    items = pl.DataFrame({"item_id": ["a", "b"]})

    days = days_of(Source(items=table(items), interactions=table(frame), root="x"))

    assert [(of.day.isoformat(), of.events) for of in days] == [
        ("1970-01-01", 4),
        ("1970-01-02", 0),
        ("1970-01-03", 1),
        ("1970-01-04", 2),
    ]
    first, _, _, last = days
    assert (first.users, first.items, first.repeated, first.unknown) == (2, 3, 1, 1)
    assert (first.top_item, first.top) == ("a", 2)
    assert (last.again, first.again) == (1, 0)
