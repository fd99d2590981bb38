"""A night decides what is trained anew and which days it compares on."""

from datetime import date, timedelta

import pytest

from dataset.prepare.days import Day
from retraining import plan as planning
from retraining.config import NightlyConfig
from retraining.plan import planned

FIRST = date(2026, 9, 1)
LIVE = "20260921T000000.000Z-00000000"


@pytest.fixture
def live(tmp_path, monkeypatch):
    """A release that has learnt up to the 20th, and can be gone on from."""
    monkeypatch.setattr(planning, "learnt_until", lambda _: date(2026, 9, 20))
    monkeypatch.setattr(planning, "cannot_carry", lambda _: "")
    return tmp_path / LIVE


def days(count):
    return [Day(day=FIRST + timedelta(days=number), events=10) for number in range(count)]


def plan(count, live, *, held=(), warm_nights=0, **options):
    return planned(
        NightlyConfig(**options),
        days=days(count),
        until=FIRST + timedelta(days=count),
        held=held,
        live=live,
        warm_nights=warm_nights,
    )


def test_the_first_night_trains_everything_by_the_shares_of_data_yaml():
    made = plan(25, None)

    assert made.full == "nothing is published yet"
    assert made.cuts is None
    assert made.data_options == ["--until=2026-09-26", "--without=[]"]


def test_a_night_compares_on_the_newest_day_that_nobody_has_learnt(live):
    made = plan(22, live)

    assert not made.full
    assert made.cuts == (date(2026, 9, 17), date(2026, 9, 22))  # a fifth of 21 days before
    assert made.data_options[2:] == ["--split=time-cut", '--cuts=["2026-09-17", "2026-09-22"]']


def test_never_more_days_than_the_live_release_lacks(live):
    assert plan(22, live, test_days=7).cuts[1] == date(2026, 9, 21)


def test_a_day_that_is_held_back_counts_nowhere(live):
    made = plan(22, live, held=["2026-09-22"])

    assert made.cuts[1] == date(2026, 9, 21)
    assert made.data_options[1] == '--without=["2026-09-22"]'
    idle = plan(21, live, held=["2026-09-21"])
    assert idle.nothing == "no good day since 2026-09-20, which the live release ends"


@pytest.mark.parametrize(
    ("warm_nights", "full"), [(5, ""), (6, "6 nights since the last full one")]
)
def test_a_full_night_follows_some_that_went_on(live, warm_nights, full):
    assert plan(22, live, warm_nights=warm_nights).full == full


def test_what_cannot_be_gone_on_from_is_trained_anew(live, monkeypatch):
    monkeypatch.setattr(planning, "cannot_carry", lambda _: "a reason")

    assert plan(22, live).full == "a reason"
