from datetime import UTC, date, datetime, timedelta, timezone

import polars as pl
import pytest

from dataset.prepare.timestamps import unix_seconds

MOMENT = datetime(2011, 12, 9, 12, 50, tzinfo=UTC)
SECONDS = int(MOMENT.timestamp())


def read(values, dtype=None):
    frame = pl.DataFrame({"timestamp": pl.Series(values, dtype=dtype)})
    return frame.select(unix_seconds("timestamp", frame.schema["timestamp"])).to_series().to_list()


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000, 1_000_000_000])
def test_numbers_are_read_in_the_unit_that_fits_them(unit):
    assert read([SECONDS * unit] * 3) == [SECONDS] * 3


def test_fractions_of_a_second_are_cut_off():
    assert read([SECONDS + 0.9, SECONDS + 0.1]) == [SECONDS] * 2


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_datetimes_of_any_precision_are_read(unit):
    assert read([MOMENT.replace(tzinfo=None)], pl.Datetime(unit)) == [SECONDS]


def test_a_datetime_with_a_zone_is_read_as_the_same_time():
    assert read([MOMENT], pl.Datetime("us", "Europe/London")) == [SECONDS]


def test_dates_start_at_midnight_utc():
    assert read([date(2011, 12, 9)]) == [SECONDS - 12 * 3600 - 50 * 60]


@pytest.mark.parametrize(
    "text",
    [
        "2011-12-09T12:50:00",
        "2011-12-09 12:50",
        " 2011-12-09T12:50:00.250 ",
        "2011-12-09T12:50:00Z",
        "2011-12-09T13:50:00.1+01:00",
        "2011-12-09 10:50:00-0200",
        str(SECONDS),
        MOMENT.astimezone(timezone(timedelta(hours=9))).isoformat(),
    ],
)
def test_iso_strings_and_digits_are_read_as_the_same_time(text):
    assert read([text]) == [SECONDS]


def test_strings_of_several_formats_may_be_mixed():
    assert read(["2011-12-09T12:50:00Z", "2011-12-09 12:50:00", "soon", None]) == [
        SECONDS,
        SECONDS,
        None,
        None,
    ]
