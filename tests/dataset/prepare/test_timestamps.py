from datetime import UTC, date, datetime, timedelta, timezone

import polars as pl
import pytest

from dataset.prepare.timestamps import beyond_years, is_ambiguous, read_as, unix_microseconds

MOMENT = datetime(2011, 12, 9, 12, 50, tzinfo=UTC)
SECONDS = int(MOMENT.timestamp())
MICROSECONDS = SECONDS * 1_000_000
MIDNIGHT = MICROSECONDS - (12 * 3600 + 50 * 60) * 1_000_000


def found(expression, values, dtype=None):
    frame = pl.DataFrame({"timestamp": pl.Series(values, dtype=dtype)})
    return frame.select(expression("timestamp", frame.schema["timestamp"])).to_series().to_list()


def read(values, dtype=None):
    return found(unix_microseconds, values, dtype)


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000, 1_000_000_000])
def test_numbers_are_read_in_the_unit_that_fits_them(unit):
    assert read([SECONDS * unit] * 3) == [MICROSECONDS] * 3
    assert read([float(SECONDS * unit)]) == [MICROSECONDS]
    assert read([str(SECONDS * unit)]) == [MICROSECONDS]


def test_every_number_of_a_column_is_read_in_its_own_unit():
    values = [SECONDS, SECONDS * 1_000 + 7, SECONDS * 1_000_000]

    assert read(values) == [MICROSECONDS, MICROSECONDS + 7_000, MICROSECONDS]
    assert found(read_as, values) == ["seconds", "milliseconds", "microseconds"]
    assert found(read_as, [str(value) for value in values]) == found(read_as, values)


def test_times_within_a_second_keep_their_order():
    assert read([SECONDS + 0.9, SECONDS + 0.123456]) == [
        MICROSECONDS + 900_000,
        MICROSECONDS + 123_456,
    ]
    assert read([SECONDS * 1_000_000 + 1]) == [MICROSECONDS + 1]
    assert read(["2011-12-09T12:50:00.000001Z"]) == [MICROSECONDS + 1]


@pytest.mark.parametrize("value", [20111209, 20111209.0, "20111209"])
def test_whole_numbers_may_spell_a_day(value):
    assert read([value]) == [MIDNIGHT]
    assert found(read_as, [value]) == ["dates like 20240131"]


@pytest.mark.parametrize("value", [201112091250, 20111209125000, "20111209125000"])
def test_whole_numbers_may_spell_a_time(value):
    assert read([value]) == [MICROSECONDS]


def test_a_number_that_spells_no_day_counts_seconds():
    assert read([20111309]) == [20111309 * 1_000_000]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_datetimes_of_any_precision_are_read(unit):
    assert read([MOMENT.replace(tzinfo=None)], pl.Datetime(unit)) == [MICROSECONDS]


def test_a_datetime_with_a_zone_is_read_as_the_same_time():
    assert read([MOMENT], pl.Datetime("us", "Europe/London")) == [MICROSECONDS]


def test_dates_start_at_midnight_utc():
    assert read([date(2011, 12, 9)]) == [MIDNIGHT]


@pytest.mark.parametrize(
    "text",
    [
        "2011-12-09T12:50:00",
        "2011-12-09 12:50",
        "2011/12/09 12:50",
        "20111209T125000Z",
        " 2011-12-09T12:50:00.000 ",
        "2011-12-09T12:50:00Z",
        "2011-12-09 12:50:00 UTC",
        "2011-12-09T13:50:00.0+01:00",
        "2011-12-09 10:50:00-0200",
        "09.12.2011 12:50",
        "9.12.2011, 12:50:00",
        str(SECONDS),
        MOMENT.astimezone(timezone(timedelta(hours=9))).isoformat(),
    ],
)
def test_iso_and_german_texts_and_digits_are_read_as_the_same_time(text):
    assert read([text]) == [MICROSECONDS]


@pytest.mark.parametrize(
    ("text", "decided"),
    [
        ("12/09/2011 12:50 PM", "12/31/2011 02:05 AM"),
        ("12/9/2011, 12:50:00\u202fpm", "12/13/2011, 2:05:00\u202fam"),
        ("12-09-2011 12:50", "12-13-2011"),
        ("09/12/2011 12:50", "31/12/2011"),
        ("9-12-2011 12:50 PM", "13-12-2011"),
    ],
)
def test_one_date_of_a_column_shows_whether_day_or_month_comes_first(text, decided):
    assert read([text, decided])[0] == MICROSECONDS
    assert found(is_ambiguous, [text, decided]) == [False, False]


@pytest.mark.parametrize(
    "texts", [["12/09/2011 12:50 PM", "01/02/2012"], ["13/01/2011", "01/13/2011"]]
)
def test_dates_that_show_no_order_of_day_and_month_are_ambiguous(texts):
    assert read([*texts, "2011-12-09"]) == [None, None, MIDNIGHT]
    assert found(is_ambiguous, [*texts, "2011-12-09", "soon"]) == [True, True, False, False]


def test_strings_of_several_formats_may_be_mixed():
    assert read(["2011-12-09T12:50:00Z", "09.12.2011 12:50", "soon", None, "31.02.2011"]) == [
        MICROSECONDS,
        MICROSECONDS,
        None,
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([2**63 - 1, -(2**63 - 1)], pl.Datetime("ms")),
        ([9_999_999, -9_999_999], pl.Date),
        ([253_402_300_800_000_000, -62_135_596_800_000_001], pl.Datetime("us", "Asia/Tokyo")),
    ],
)
def test_dates_that_python_does_not_have_are_found(values, dtype):
    frame = pl.DataFrame({"timestamp": pl.Series(values).cast(pl.Int64)})
    physical = pl.Int32 if dtype == pl.Date else pl.Int64
    frame = frame.with_columns(pl.col("timestamp").cast(physical).cast(dtype))
    kind = frame.schema["timestamp"]

    assert frame.select(beyond_years("timestamp", kind)).to_series().to_list() == [True, True]
    late, early = frame.select(unix_microseconds("timestamp", kind)).to_series()
    assert late > MICROSECONDS > early


def test_the_last_microsecond_of_9999_is_within_the_years():
    values = pl.Series([253_402_300_799_999_999, -62_135_596_800_000_000]).cast(pl.Datetime("us"))

    assert found(beyond_years, values) == [False, False]
